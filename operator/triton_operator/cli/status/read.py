"""Read a deployment and everything that belongs to it, or wait until it is Ready.

Input: a name. Output: a StatusReport, or the object. `command` reads once, `watch` after every change.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

from triton_operator.cli.cluster.objects import labels_of, read_lists
from triton_operator.cli.concurrency import result_of, start
from triton_operator.cli.status.report import StatusReport, report
from triton_operator.cli.status.tree import RESOURCES
from triton_operator.cli.terminal.output import say
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Object, Selection
from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.errors import NotReadyError
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import DeploymentStatus
from triton_operator.sdk.waiting import wait_until_ready


def read_report(client: KubernetesClient, name: str, namespace: str, deployment: Object | None = None) -> StatusReport:
    """Read the deployment and its children concurrently. Children that cannot be read are reported as a warning."""
    selections = [Selection(resource, namespace, labels=labels_of(name)) for resource in RESOURCES]
    children = start(lambda: read_lists(client, selections, what=f"the objects of {name}"))
    deployment = deployment or client.get(MODEL_DEPLOYMENTS, name, namespace)
    found = result_of(children)
    if found.error:
        say(f"warning: some objects cannot be read: {found.error}", err=True)
    return report(deployment, found.items)


def wait_for_ready(client: KubernetesClient, name: str, namespace: str, seconds: float) -> Object | None:
    """Wait until the deployment is Ready or stalled, or the time is up; return its last state.

    Each new reason is printed on standard error.
    """
    last: Object | None = None

    def changes() -> Generator[Object]:
        nonlocal last
        for deployment in Deployments(client).follow(name, namespace, seconds=seconds):
            last = deployment
            yield deployment

    def print_reason(found: DeploymentStatus) -> None:
        if not found.ready:
            say(": ".join(part for part in (found.reason, found.message) if part), err=True)

    with suppress(NotReadyError):  # The caller prints the report.
        wait_until_ready(changes(), seconds, print_reason)
    return last
