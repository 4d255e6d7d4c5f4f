"""`tritonctl privacy`: the privacy controls of a deployment with evidence, for an audit.

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

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import CAFile, Context, Kubeconfig, Name, Namespace, kube_context
from triton_operator.cli.privacy.report import PrivacyReport
from triton_operator.cli.terminal.formats import ReportFormat
from triton_operator.cli.terminal.output import console, to_json, write_result

EPILOG = """\b
Examples:
  tritonctl privacy digits -n models
  tritonctl privacy digits -o html --output-file digits-privacy.html
  tritonctl privacy digits -o json
  tritonctl privacy digits --url 127.0.0.1:8443  # with the server's certificate, through kubectl port-forward
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
    url: Annotated[
        str,
        typer.Option(
            "--url", metavar="HOST:PORT", help="Also read the certificate that the server at this address presents."
        ),
    ] = "",
    ca_file: CAFile = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Report the state of each privacy control, the evidence for it and when the state last changed.

    The report also lists what the controls do not cover.

    The exit status is 1 if a control that the profile requires is not enforced, or if its state is unknown.
    """
    from triton_operator.cli.privacy.build import build_report
    from triton_operator.cli.privacy.handshake import add_served_certificate
    from triton_operator.cli.privacy.read import read_observed
    from triton_operator.cli.privacy.text import render_text
    from triton_operator.sdk.access import AccessOptions, Target
    from triton_operator.sdk.kubernetes_client import KubernetesClient

    if ca_file and not url:
        raise UsageError("--ca-file has no effect without --url")
    cluster = kube_context(kubeconfig, context)
    client = KubernetesClient(cluster)
    observed = read_observed(client, name, namespace)
    if url:
        target = Target(name, namespace, "", cluster, client, AccessOptions(ca_file=ca_file))
        observed = add_served_certificate(observed, target, url)
    report = build_report(observed, datetime.now(UTC))
    if output is ReportFormat.TABLE and output_file is None:
        console().print(render_text(report))  # In color on a terminal.
    else:
        write_result(_document(report, output), output_file)
    verdict, subject = report.verdict, report.deployment
    if not verdict.is_enforced:
        raise CommandFailedError(
            f"the privacy controls of {subject.namespace}/{subject.name} are not enforced, "
            f"or their state is unknown: {verdict.reason}"
        )


def _document(report: PrivacyReport, form: ReportFormat) -> str:
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
