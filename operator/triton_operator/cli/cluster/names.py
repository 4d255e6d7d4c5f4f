"""Shell completion of object names.

Input: the incomplete command line. Output: the names in the cluster that begin with the incomplete word; none if the
cluster does not respond within TIMEOUT_SECONDS, because the shell waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.kube_context import KubeContext

if TYPE_CHECKING:
    from triton_operator.cluster.resource_paths import Resource

TIMEOUT_SECONDS = 2.0
"""Maximum delay for a completion."""


def complete_deployments(ctx: typer.Context, incomplete: str) -> list[str]:
    """ModelDeployments in the namespace that the command line names, or in the default one."""
    from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS

    return _listed(ctx, incomplete, MODEL_DEPLOYMENTS, ctx.params.get("namespace") or "")


def complete_pods(ctx: typer.Context, incomplete: str) -> list[str]:
    """Pods of the deployment that the command line names."""
    from triton_operator.cli.cluster.objects import labels_of
    from triton_operator.cluster.resource_paths import PODS

    name = ctx.params.get("name")
    labels = labels_of(name) if name else ""
    return _listed(ctx, incomplete, PODS, ctx.params.get("namespace") or "", labels)


def complete_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces of the cluster; some users cannot list them."""
    from triton_operator.cluster.resource_paths import NAMESPACES

    return _listed(ctx, incomplete, NAMESPACES, None)


def complete_contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""
    from triton_operator.sdk.cluster_config import context_names

    return _with_timeout(lambda: context_names(_cluster(ctx)), incomplete)


def _listed(
    ctx: typer.Context, incomplete: str, resource: Resource, namespace: str | None, labels: str = ""
) -> list[str]:
    from triton_operator.sdk.cluster_objects import Selection
    from triton_operator.sdk.kubernetes_client import KubernetesClient

    client = KubernetesClient(_cluster(ctx), timeout=TIMEOUT_SECONDS)
    selection = Selection(resource, namespace, labels=labels)
    return _with_timeout(lambda: [str(item["metadata"]["name"]) for item in client.list(selection).items], incomplete)


def _with_timeout(read: Callable[[], list[str]], incomplete: str) -> list[str]:
    """The matching names that `read` returns within the timeout; an exec credential plugin may hang."""
    found: list[str] = []

    def run() -> None:
        try:
            found.extend(read())
        except SdkError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return sorted(name for name in found if name.startswith(incomplete))


def _cluster(ctx: typer.Context) -> KubeContext:
    return KubeContext(kubeconfig=ctx.params.get("kubeconfig") or "", context=ctx.params.get("context") or "")
