"""`tritonctl status`: is it Ready, and if not, why and where.

Input: names, or a namespace. Output: a report with the tree of all that belongs to the deployment, or a line for each
of several; exit status 0 only when every one is Ready as it was last written. `watch` follows changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.kubectl.cluster import DEPLOYMENTS, place, read
from triton_operator.cli.kubectl.names import complete_deployments
from triton_operator.cli.options import Context, Kubeconfig, Namespace, Output, kubectl
from triton_operator.cli.status.read import read_report
from triton_operator.cli.status.report import Report, Summary, summary, verdict
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data, say
from triton_operator.sdk.kubectl import Kubectl, Object

EPILOG = """\b
Examples:
  tritonctl status digits -n models
  tritonctl status -n models                     every one of the namespace
  tritonctl status digits --watch
  tritonctl status digits --wait 120 && echo it serves
  tritonctl status digits -o json
\b
In a pipe --watch prints a line for each change; -o json then prints one document a line.
"""


def status(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="ModelDeployments; without one all.", autocompletion=complete_deployments),
    ] = None,
    namespace: Namespace = "",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    output: Output = OutputFormat.TABLE,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long for Ready, saying why it is not yet."),
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show every change, until Ctrl-C.")] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Say whether a deployment serves every model, and if it does not, why.

    Exit status 1 when one is not Ready.
    """
    chosen = list(dict.fromkeys(names or []))
    _check_options(chosen, everywhere=everywhere, wait=wait, watch=watch)
    cluster = kubectl(kubeconfig, context)
    if watch:
        from triton_operator.cli.status.watch import Watched, show_changes

        show_changes(cluster, Watched(chosen, namespace, everywhere), output)
    elif len(chosen) == 1:
        _one(cluster, chosen[0], namespace, output, wait)
    else:
        _several(cluster, chosen, namespace, output, everywhere=everywhere)


def _check_options(names: Sequence[str], *, everywhere: bool, wait: float, watch: bool) -> None:
    if everywhere and names:
        raise UsageError("--all-namespaces: shows all; name the namespace of one with -n")
    if wait and (watch or len(names) != 1):
        raise UsageError("--wait: waits for one deployment, and not with --watch")


def _one(cluster: Kubectl, name: str, namespace: str, output: OutputFormat, wait: float) -> None:
    deployment = wait_for_ready(cluster, name, namespace, wait) if wait else None
    found = read_report(cluster, name, namespace, deployment)
    if output is OutputFormat.TABLE:
        print_report(found)
    else:
        print_data(found, output)
    if not found.ready:
        raise CommandFailedError(f"{found.namespace}/{found.name} is not Ready: {found.reason}")


def print_report(found: Report) -> None:
    """Print it for a person."""
    from triton_operator.cli.status.text import render_report

    console().print(render_report(found))


def _several(cluster: Kubectl, names: Sequence[str], namespace: str, output: OutputFormat, *, everywhere: bool) -> None:
    where = ["--all-namespaces"] if everywhere else place(namespace)
    found = read(cluster, DEPLOYMENTS, *names, *where, what="the ModelDeployments")
    print_list([summary(item) for item in found.items], output, with_namespace=everywhere)
    if found.complaint:
        raise found.complaint
    not_ready = [item["metadata"]["name"] for item in found.items if not verdict(item)[0]]
    if not_ready:
        raise CommandFailedError(f"{len(not_ready)} of {len(found.items)} not Ready: {', '.join(not_ready)}")


def print_list(found: Sequence[Summary], output: OutputFormat, *, with_namespace: bool) -> None:
    """Print a line for each, or data."""
    if output is not OutputFormat.TABLE:
        print_data(list(found), output)
    elif found:
        from triton_operator.cli.status.text import render_list

        console().print(render_list(found, with_namespace=with_namespace))
    else:
        typer.echo("there is no ModelDeployment here; `-A` looks into all namespaces", err=True)


def wait_for_ready(cluster: Kubectl, name: str, namespace: str, seconds: float) -> Object:
    """Follow the deployment until it is Ready or the time is over; each new reason is a line on standard error."""
    said = None
    with closing(cluster.follow(name, namespace, seconds=seconds)) as changes:
        for deployment in changes:
            ready, *why = verdict(deployment)
            if ready:
                return deployment
            if why != said:
                say(": ".join(part for part in why if part), err=True)
                said = why
    return cluster.deployment(name, namespace)
