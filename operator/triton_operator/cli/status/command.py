"""`tritonctl status`: show whether deployments are Ready and, if not, why.

Input: names, or a namespace. Output: for one deployment, a report with the tree of its objects; for several, a line
each. The exit status is 0 only if all are Ready in their latest generation. `watch` follows changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from triton_operator.cli.cluster.names import complete_deployments
from triton_operator.cli.cluster.objects import read_deployments, read_lists
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import Context, Kubeconfig, Namespace, Output, kube_context
from triton_operator.cli.status.read import read_report, wait_for_ready
from triton_operator.cli.status.report import StatusReport, Summary, summary, verdict
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.kubernetes_client import KubernetesClient

EPILOG = """\b
Examples:
  tritonctl status digits -n models
  tritonctl status -n models                     # all in the namespace
  tritonctl status digits --watch
  tritonctl status digits --wait 120
  tritonctl status digits -o json
\b
If the output is not a terminal, --watch prints a line per change; with -o json, each line is a JSON document.
"""


def status(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Names of ModelDeployments; by default, all.", autocompletion=complete_deployments
        ),
    ] = None,
    namespace: Namespace = "",
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="List the ModelDeployments in all namespaces.")
    ] = False,
    output: Output = OutputFormat.TABLE,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="Wait up to this long for the ModelDeployment to become Ready, and print why it is not Ready yet.",
        ),
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print changes until Ctrl-C.")] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Show whether a ModelDeployment is Ready and, if not, why.

    The exit status is 1 if any ModelDeployment is not Ready.
    """
    chosen = list(dict.fromkeys(names or []))
    _check_options(chosen, everywhere=everywhere, wait=wait, watch=watch)
    client = KubernetesClient(kube_context(kubeconfig, context))
    if watch:
        from triton_operator.cli.status.watch import Watched, show_changes

        show_changes(client, Watched(chosen, namespace, everywhere), output)
    elif len(chosen) == 1:
        _one(client, chosen[0], namespace, output, wait)
    else:
        _several(client, chosen, namespace, output, everywhere=everywhere)


def _check_options(names: Sequence[str], *, everywhere: bool, wait: float, watch: bool) -> None:
    if everywhere and names:
        raise UsageError("--all-namespaces cannot be combined with names; select a namespace with -n")
    if wait and (watch or len(names) != 1):
        raise UsageError("--wait needs exactly one name and cannot be combined with --watch")


def _one(client: KubernetesClient, name: str, namespace: str, output: OutputFormat, wait: float) -> None:
    deployment = wait_for_ready(client, name, namespace, wait) if wait else None
    found = read_report(client, name, namespace, deployment)
    if output is OutputFormat.TABLE:
        print_report(found)
    else:
        print_data(found, output)
    if not found.ready:
        raise CommandFailedError(f"{found.namespace}/{found.name} is not Ready: {found.reason}")


def print_report(found: StatusReport) -> None:
    """Print the report in text form."""
    from triton_operator.cli.status.text import render_report

    console().print(render_report(found))


def _several(
    client: KubernetesClient, names: Sequence[str], namespace: str, output: OutputFormat, *, everywhere: bool
) -> None:
    if names:
        found = read_deployments(client, names, namespace)
    else:
        chosen = Selection(MODEL_DEPLOYMENTS, None if everywhere else namespace)
        found = read_lists(client, [chosen], what="the ModelDeployments")
        if found.error:
            raise found.error
    print_list([summary(item) for item in found.items], output, with_namespace=everywhere)
    if found.error:
        raise found.error
    not_ready = [item["metadata"]["name"] for item in found.items if not verdict(item)[0]]
    if not_ready:
        raise CommandFailedError(f"{len(not_ready)} of {len(found.items)} not Ready: {', '.join(not_ready)}")


def print_list(found: Sequence[Summary], output: OutputFormat, *, with_namespace: bool) -> None:
    """Print a table, JSON or YAML."""
    if output is not OutputFormat.TABLE:
        print_data(list(found), output)
    elif found:
        from triton_operator.cli.status.text import render_list

        console().print(render_list(found, with_namespace=with_namespace))
    else:
        typer.echo("no ModelDeployments found in this namespace; use -A for all namespaces", err=True)
