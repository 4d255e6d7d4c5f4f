"""`tritonctl deploy`: apply ModelDeployments, and wait until they are Ready or have failed.

Input: YAML files. Output: a line for each deployment on standard output; while waiting, a line on standard error for
each new reason. The exit status is 0 only if everything was applied and, with --wait, is Ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import FIELD_MANAGER, Context, Kubeconfig, Namespace, kube_context
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.errors import NotReadyError

if TYPE_CHECKING:
    from triton_operator.sdk.deployments import Deployments
    from triton_operator.sdk.manifest import Manifest
    from triton_operator.sdk.status import DeploymentStatus
    from triton_operator.sdk.stop import Stop

EPILOG = """\b
Examples:
  tritonctl deploy -f digits.yaml
  tritonctl deploy -f digits.yaml -n models --wait --timeout 120
  cat *.yaml | tritonctl deploy -f -
\b
Objects of other kinds are skipped; use `kubectl apply` for them.
"""


def deploy(
    files: Annotated[
        list[Path],
        typer.Option("--filename", "-f", metavar="FILE", help="YAML file with ModelDeployments; - for standard input."),
    ],
    namespace: Namespace = "",
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait until all ModelDeployments are Ready, and print why they are not Ready yet."),
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=1, help="Time limit for --wait.")] = 600,
    force: Annotated[bool, typer.Option("--force", help="Take over fields that another field manager owns.")] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Create or update ModelDeployments by server-side apply, and optionally wait until they are Ready.

    The exit status is 1 if a ModelDeployment does not become Ready, and 2 if a file or a field is invalid.
    """
    from triton_operator.sdk.deployments import Deployments
    from triton_operator.sdk.manifest import read_manifests

    manifests = [manifest for file in files for manifest in read_manifests(file)]
    _check_namespaces(manifests, namespace)
    deployments = Deployments(kube_context(kubeconfig, context), manager=FIELD_MANAGER)
    applied = [_apply(deployments, manifest, namespace, force=force) for manifest in manifests]
    if wait:
        _wait_for_all(deployments, applied, timeout)


def _check_namespaces(manifests: Sequence[Manifest], namespace: str) -> None:
    for manifest in manifests:
        written = manifest["metadata"].get("namespace", "")
        if namespace and written not in {"", namespace}:
            name = manifest["metadata"]["name"]
            raise UsageError(f"{name}: metadata.namespace is {written}, but --namespace is {namespace}")


def _apply(deployments: Deployments, manifest: Manifest, namespace: str, *, force: bool) -> Manifest:
    with spinner(f"applying {manifest['metadata']['name']}"):
        applied = deployments.apply(manifest, namespace, force=force)
    typer.echo(f"{_name(applied)} applied")
    return applied


def _wait_for_all(deployments: Deployments, applied: Sequence[Manifest], seconds: float) -> None:
    """Wait for all concurrently; raises CommandFailedError with the reasons of those that are not Ready."""
    from triton_operator.sdk.stop import Stop

    stops = [Stop() for _ in applied]
    with ThreadPoolExecutor(len(applied)) as pool:
        try:
            waits = [
                pool.submit(_wait_for, deployments, manifest, seconds, stop, many=len(applied) > 1)
                for manifest, stop in zip(applied, stops, strict=True)
            ]
            failures = [failure for each in waits if (failure := each.result())]
        finally:
            for stop in stops:  # Also after Ctrl-C, or if the cluster became unreachable.
                stop.now()
    if failures:
        raise CommandFailedError("; ".join(failures))


def _wait_for(deployments: Deployments, manifest: Manifest, seconds: float, stop: Stop, *, many: bool) -> str:
    """Wait for one deployment; return why it is not Ready, or ""."""
    from triton_operator.sdk.waiting import wait_until_ready

    def print_reason(found: DeploymentStatus) -> None:
        if not found.ready:
            words = [found.name if many else "", found.reason, found.message]
            say(": ".join(word for word in words if word), err=True)

    metadata = manifest["metadata"]
    changes = deployments.follow(metadata["name"], metadata["namespace"], seconds=seconds, stop=stop)
    try:
        wait_until_ready(changes, seconds, print_reason)
    except NotReadyError as failure:
        return str(failure)
    typer.echo(f"{_name(manifest)} Ready")
    return ""


def _name(manifest: Manifest) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
