"""`tritonctl doctor`: what keeps this user from serving models on this cluster, as far as it shows from here.

Input: a namespace. Output: a line for each check with what to do; exit status 0 only where nothing has to be mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.options import Context, Kubeconfig, Namespace, Output, kubectl
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, plain_text, print_data
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from triton_operator.cli.doctor.evidence import Evidence
    from triton_operator.cli.doctor.finding import Finding

EPILOG = """\b
Examples:
  tritonctl doctor
  tritonctl doctor -n models
  tritonctl doctor -o json
\b
ok is well, warn works in part or could not be looked at, fail has to be mended first. Nothing is changed.
"""
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    namespace: Namespace = "",
    output: Output = OutputFormat.TABLE,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Check the cluster, kubectl, the operator, your permissions, and what the nodes have.

    Exit status 1 when something has to be mended, 3 when no cluster answers.
    """
    findings = examine(KubernetesClient(kubectl(kubeconfig, context)), namespace)
    if output is OutputFormat.TABLE:
        _print(findings)
    else:
        print_data(findings, output)
    ill = [finding.check for finding in findings if finding.health == "fail"]
    if ill and len(findings) == 1:
        raise UnreachableError(f"{findings[0].check}: nothing else can be checked")
    if ill:
        raise CommandFailedError(f"to be mended: {', '.join(ill)}")


def examine(client: KubernetesClient, namespace: str) -> list[Finding]:
    """Gather and judge; if the cluster does not answer, that is the only finding."""
    from triton_operator.cli.doctor.evidence import gather

    with spinner("looking at the cluster"):
        evidence = gather(client, namespace)
    return judge(evidence, datetime.now(UTC))


def judge(evidence: Evidence, now: datetime) -> list[Finding]:
    """All checks, in the order in which one would mend things."""
    from triton_operator.cli.doctor import cluster_checks, user_checks

    version = cluster_checks.check_version(evidence)
    if len(evidence.answers) == 1:  # Nothing else could be asked.
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


def _print(findings: Sequence[Finding]) -> None:
    from rich.text import Text

    out = console()
    for finding in findings:
        health = finding.health.value
        line = Text.assemble((f"{health:<5}", _COLOURS[health]), plain_text(f"{finding.check}: {finding.found}"))
        out.print(line, soft_wrap=True)
        if finding.do:
            out.print(plain_text(f"     {finding.do}", "dim"), soft_wrap=True)
