"""Names in the cluster that begin like what was typed so far, for shell completion.

Input: the half command line. Output: names; none where the cluster does not answer at once, because a shell waits for
them. One kubectl for each press of the key.
"""

from __future__ import annotations

import subprocess

import typer

from triton_operator.api.names import GROUP, LABEL_DEPLOYMENT, PLURAL
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.kubectl import Kubectl

PATIENCE_SECONDS = 2
"""What a person waits at a key without wondering."""


def complete_deployments(ctx: typer.Context, incomplete: str) -> list[str]:
    """ModelDeployments in the namespace that the line names, or the context's own."""
    namespace = ctx.params.get("namespace")
    place = ["--namespace", namespace] if namespace else []
    return _names(ctx, incomplete, "get", f"{PLURAL}.{GROUP}", *place, "-o", "name")


def complete_pods(ctx: typer.Context, incomplete: str) -> list[str]:
    """Pods of the deployment that the line names."""
    namespace, name = ctx.params.get("namespace"), ctx.params.get("name")
    place = ["--namespace", namespace] if namespace else []
    chosen = ["-l", f"{LABEL_DEPLOYMENT}={name}"] if name else []
    return _names(ctx, incomplete, "get", "pods", *chosen, *place, "-o", "name")


def complete_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces of the cluster; some users may not list them."""
    return _names(ctx, incomplete, "get", "namespaces", "-o", "name")


def complete_contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""
    return _names(ctx, incomplete, "config", "get-contexts", "-o", "name")


def _names(ctx: typer.Context, incomplete: str, *arguments: str) -> list[str]:
    kubectl = Kubectl(kubeconfig=ctx.params.get("kubeconfig") or "", context=ctx.params.get("context") or "")
    try:
        command = kubectl.command(*arguments, f"--request-timeout={PATIENCE_SECONDS}s")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    except (SdkError, OSError, subprocess.TimeoutExpired):
        return []
    names = (line.rpartition("/")[2] for line in done.stdout.splitlines())
    return sorted(name for name in names if name.startswith(incomplete))
