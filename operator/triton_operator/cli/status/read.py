"""Read a deployment and everything that belongs to it.

Input: a name. Output: a Report. `command` reads once, `watch` after every change.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from triton_operator.cli.kubectl.cluster import Found, place, read, selector
from triton_operator.cli.status.report import Report, report
from triton_operator.cli.status.tree import KINDS
from triton_operator.cli.terminal.output import say
from triton_operator.sdk.kubectl import Kubectl, Object


def read_report(cluster: Kubectl, name: str, namespace: str, deployment: Object | None = None) -> Report:
    """Read the deployment and its children concurrently. Children that cannot be read are reported as a warning."""
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(read_children, cluster, name, namespace)
        deployment = deployment or cluster.deployment(name, namespace)
        children = asked.result()
    if children.complaint:
        say(f"warning: some objects cannot be read: {children.complaint}", err=True)
    return report(deployment, children.items)


def read_children(cluster: Kubectl, name: str, namespace: str) -> Found:
    """Read all objects of the deployment with one kubectl, which sends a request per kind."""
    return read(cluster, ",".join(KINDS), *selector(name), *place(namespace), what=f"the objects of {name}")
