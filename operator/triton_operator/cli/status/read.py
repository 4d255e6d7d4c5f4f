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
    """The deployment and its children, asked for at the same time; a child that may not be read is said, not fatal."""
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(read_children, cluster, name, namespace)
        deployment = deployment or cluster.deployment(name, namespace)
        children = asked.result()
    if children.complaint:
        say(f"not everything can be read: {children.complaint}", err=True)
    return report(deployment, children.items)


def read_children(cluster: Kubectl, name: str, namespace: str) -> Found:
    """All that belongs to the deployment, in one request for each kind that kubectl sends by itself."""
    return read(cluster, ",".join(KINDS), *selector(name), *place(namespace), what=f"what belongs to {name}")
