"""`tritonctl privacy`: the privacy controls of a deployment with their proof, for an audit.

Input: the name of a deployment. Output: a report on standard output or in a file. The exit status is 0 only if all
controls that the profile requires are enforced.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, kube_context
from triton_operator.cli.privacy.report import Report
from triton_operator.cli.terminal.formats import ReportFormat
from triton_operator.cli.terminal.output import console, to_json, write_result

EPILOG = """\b
Examples:
  tritonctl privacy digits -n models
  tritonctl privacy digits -o html --output-file digits-privacy.html
  tritonctl privacy digits -o json
\b
The command reads the ModelDeployment and its pods, NetworkPolicies, ConfigMaps and Certificate, but no
Secret. What cannot be read is listed in the report.
"""


def privacy(
    name: Name,
    namespace: Namespace = "",
    output: Annotated[ReportFormat, typer.Option("--output", "-o", help="Output format.")] = ReportFormat.TABLE,
    output_file: Annotated[
        Path | None, typer.Option("--output-file", metavar="FILE", help="Write to this file instead of printing.")
    ] = None,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Report every privacy control, since when it has its state, its proof, and what is not covered.

    The exit status is 1 if a control that the profile requires is not enforced, or if its state is unknown.
    """
    from triton_operator.cli.privacy.build import build_report
    from triton_operator.cli.privacy.read import read_observed
    from triton_operator.cli.privacy.text import render_text
    from triton_operator.sdk.kubernetes_client import KubernetesClient

    client = KubernetesClient(kube_context(kubeconfig, context))
    report = build_report(read_observed(client, name, namespace), datetime.now(UTC))
    if output is ReportFormat.TABLE and output_file is None:
        console().print(render_text(report))  # In color on a terminal.
    else:
        write_result(_document(report, output), output_file)
    verdict, subject = report.verdict, report.deployment
    if not verdict.is_enforced:
        raise CommandFailedError(
            f"the privacy of {subject.namespace}/{subject.name} is not enforced or not known: {verdict.reason}"
        )


def _document(report: Report, form: ReportFormat) -> str:
    """The report as text, without color."""
    from triton_operator.cli.privacy.page import render_page
    from triton_operator.cli.privacy.text import render_text

    if form is ReportFormat.HTML:
        return render_page(report)
    if form is ReportFormat.JSON:
        return to_json(msgspec.to_builtins(report))
    text = io.StringIO()
    console(text).print(render_text(report))
    return text.getvalue()
