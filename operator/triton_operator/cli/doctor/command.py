"""`tritonctl doctor`: check whether this user can serve models on this cluster.

Input: a namespace. Output: a line for each check, with advice. The exit status is 0 only if no check fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.options import Context, Kubeconfig, Namespace, Output, kube_context
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, plain_text, print_data
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from triton_operator.cli.doctor.check_result import CheckResult
    from triton_operator.cli.doctor.evidence import Evidence

EPILOG = """\b
Examples:
  tritonctl doctor
  tritonctl doctor -n models
  tritonctl doctor -o json
\b
`warn` means that some features may not work, or that the check could not run. `fail` means that the
problem must be fixed. The command does not change anything.
"""
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    namespace: Namespace = "",
    output: Output = OutputFormat.TABLE,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Check the cluster, kubectl, the operator, your permissions and the nodes.

    The exit status is 1 if a check fails, and 3 if the cluster is unreachable.
    """
    results = examine(KubernetesClient(kube_context(kubeconfig, context)), namespace)
    if output is OutputFormat.TABLE:
        _print(results)
    else:
        print_data(results, output)
    failed = [result.check for result in results if result.status == "fail"]
    if failed and len(results) == 1:
        raise UnreachableError(f"{results[0].check}: other checks cannot run")
    if failed:
        raise CommandFailedError(f"failed: {', '.join(failed)}")


def examine(client: KubernetesClient, namespace: str) -> list[CheckResult]:
    """Gather the evidence and evaluate it; if the cluster does not respond, that is the only result."""
    from triton_operator.cli.doctor.evidence import gather

    with spinner("checking the cluster"):
        evidence = gather(client, namespace)
    return evaluate(evidence, datetime.now(UTC))


def evaluate(evidence: Evidence, now: datetime) -> list[CheckResult]:
    """Run all checks, in the order in which problems should be fixed."""
    from triton_operator.cli.doctor import cluster_checks, user_checks

    version = cluster_checks.check_version(evidence)
    if len(evidence.responses) == 1:  # The cluster does not respond.
        return [version]
    return [
        version,
        cluster_checks.check_kubectl(evidence),
        cluster_checks.check_definition(evidence),
        cluster_checks.check_operator(evidence),
        cluster_checks.check_lease(evidence, now),
        user_checks.check_rights(evidence),
        user_checks.check_images(evidence),
        user_checks.check_metrics(evidence),
        user_checks.check_gpus(evidence),
        user_checks.check_network(evidence),
    ]


def _print(results: Sequence[CheckResult]) -> None:
    from rich.text import Text

    out = console()
    for result in results:
        status = result.status.value
        line = Text.assemble((f"{status:<5}", _COLOURS[status]), plain_text(f"{result.check}: {result.message}"))
        out.print(line, soft_wrap=True)
        if result.advice:
            out.print(plain_text(f"     {result.advice}", "dim"), soft_wrap=True)
