"""`tritonctl status`: is it Ready, and if not, why and where.

Enters: a name. Leaves: a report, and exit status 0 only when the deployment is Ready as it was last written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.failures import Failed
from triton_operator.cli.options import Context, Format, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.output import console, print_data, table
from triton_operator.cli.report import Report, report, verdict

if TYPE_CHECKING:
    from triton_operator.sdk.kubectl import Kubectl

EPILOG = """\b
Examples:
  tritonctl status digits -n models
  tritonctl status digits --wait 120 && echo it serves
  tritonctl status digits -o json
"""


def status(
    name: Name,
    namespace: Namespace = "",
    output: Output = Format.TABLE,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long for Ready, saying why it is not yet."),
    ] = 0,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Say whether a deployment serves every model, and if it does not, why.

    Exit status 1 when it is not Ready.
    """
    cluster = kubectl(kubeconfig, context)
    deployment = wait_for_ready(cluster, name, namespace, wait) if wait else cluster.deployment(name, namespace)
    found = report(deployment, cluster.pods(name, deployment["metadata"]["namespace"]))
    if output is Format.TABLE:
        print_report(found)
    else:
        print_data(found, output)
    if not found.ready:
        raise Failed(f"{found.namespace}/{found.name} is not Ready: {found.reason}")


def wait_for_ready(cluster: Kubectl, name: str, namespace: str, seconds: float) -> dict[str, Any]:
    """Follow the deployment until it is Ready or the time is over; each new reason is a line on standard error."""
    said = None
    for deployment in cluster.follow(name, namespace, seconds=seconds):
        ready, *why = verdict(deployment)
        if ready:
            return deployment
        if why != said:
            typer.echo(": ".join(part for part in why if part), err=True)
            said = why
    return cluster.deployment(name, namespace)


def print_report(found: Report) -> None:
    """Print the report for a person: the answer first, then what it rests on."""
    from rich.text import Text

    out = console()
    word = Text("Ready", style="bold green") if found.ready else Text("Not ready", style="bold red")
    out.print(Text(f"{found.namespace}/{found.name}  "), word, Text(f"  {found.reason}"), sep="")
    out.print(Text(found.message))
    out.print(f"\n{found.ready_replicas} of {found.replicas} replicas ready")
    if found.models:
        out.print()
        models = [(m.name, m.state, ", ".join(m.versions), m.digest[:19], m.message) for m in found.models]
        out.print(table(["MODEL", "STATE", "VERSIONS", "DIGEST", "MESSAGE"], models))
    if found.cache:
        out.print()
        out.print(Text(f"Cache {found.cache.claim_name}: {found.cache.state} since {found.cache.since}"))
    if found.pods:
        out.print()
        pods = [(p.name, "yes" if p.ready else "no", p.state, str(p.restarts), p.node, p.message) for p in found.pods]
        out.print(table(["POD", "READY", "STATE", "RESTARTS", "NODE", "MESSAGE"], pods))
    if found.conditions:
        out.print()
        conditions = [(c.type, c.status, c.reason, c.message) for c in found.conditions]
        out.print(table(["CONDITION", "STATUS", "REASON", "MESSAGE"], conditions))
    if found.last_failure:
        failure = found.last_failure
        out.print()
        out.print(
            Text(f"Last failure {failure.time}: {failure.pod}/{failure.container} {failure.reason}: {failure.message}")
        )
    if found.endpoints.http:
        out.print()
        out.print(Text(f"HTTP {found.endpoints.http}   gRPC {found.endpoints.grpc}   (inside the cluster)"))
