"""`tritonctl doctor`: check whether this user can serve models on this cluster.

Input: a namespace. Output: a line for each check, with advice. The exit status is 0 only if no check fails. With
`--probe`, it also tests whether the network enforces NetworkPolicies, which creates objects for some seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.interruptions import interruptible
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
  tritonctl doctor --probe
\b
`warn` means that some features may not work, or that the check could not run. `fail` means that the
problem must be fixed. Without --probe, the command does not change anything.
\b
--probe starts two small pods that connect to each other, blocks the connection with a NetworkPolicy, and
deletes everything that it created, even after Ctrl-C. The result is stored in the ConfigMap
triton-operator-network-probe of the operator's namespace. The pods run there, or in the namespace that you
select with -n.
"""
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    namespace: Namespace = "",
    probe: Annotated[
        bool, typer.Option("--probe", help="Test whether the network enforces NetworkPolicies, and record the result.")
    ] = False,
    image: Annotated[
        str,
        typer.Option(
            "--image", metavar="IMAGE", help="Image with python3 for --probe; by default, the operator's image."
        ),
    ] = "",
    output: Output = OutputFormat.TABLE,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Check the cluster, kubectl, the operator, your permissions and the nodes.

    The exit status is 1 if a check fails, and 3 if the cluster is unreachable.
    """
    if image and not probe:
        raise UsageError("--image has no effect without --probe")
    client = KubernetesClient(kube_context(kubeconfig, context))
    results = examine(client, namespace, probe=Probing(namespace, image) if probe else None)
    if output is OutputFormat.TABLE:
        _print(results)
    else:
        print_data(results, output)
    failed = [result.check for result in results if result.status == "fail"]
    if failed and len(results) == 1:
        raise UnreachableError(f"{results[0].check}: other checks cannot run")
    if failed:
        raise CommandFailedError(f"failed: {', '.join(failed)}")


class Probing(NamedTuple):
    """The namespace and the image of the network probe; "" for those of the operator."""

    namespace: str
    image: str


def examine(client: KubernetesClient, namespace: str, *, probe: Probing | None = None) -> list[CheckResult]:
    """Gather the evidence and evaluate it; if the cluster does not respond, that is the only result."""
    from triton_operator.cli.doctor.evidence import gather

    with spinner("checking the cluster"):
        evidence = gather(client, namespace)
    results = evaluate(evidence, datetime.now(UTC))
    if probe is None or len(results) == 1:
        return results
    from triton_operator.cli.doctor.probe.command import CHECK, probe_network

    with interruptible():
        probed = probe_network(client, evidence, namespace=probe.namespace, image=probe.image)
    return [probed if result.check == CHECK else result for result in results]


def evaluate(evidence: Evidence, now: datetime) -> list[CheckResult]:
    """Run all checks, in the order in which problems should be fixed."""
    from triton_operator.cli.doctor import cluster_checks, user_checks
    from triton_operator.cli.doctor.port_forwarding import check_port_forwarding
    from triton_operator.cli.doctor.swap import check_swap

    version = cluster_checks.check_version(evidence)
    if len(evidence.responses) == 1:  # The cluster does not respond.
        return [version]
    return [
        version,
        cluster_checks.check_kubectl(evidence),
        cluster_checks.check_definition(evidence),
        cluster_checks.check_operator(evidence),
        cluster_checks.check_lease(evidence, now),
        user_checks.check_permissions(evidence),
        user_checks.check_images(evidence),
        user_checks.check_metrics(evidence),
        user_checks.check_gpus(evidence),
        user_checks.check_network(evidence, now),
        check_port_forwarding(evidence),
        check_swap(evidence),
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
