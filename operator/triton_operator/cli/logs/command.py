"""`tritonctl logs`: print the logs of a deployment's containers, in all its pods or one.

Input: a name. Output: lines, prefixed with pod and container if there are several. `streams` follows them.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Annotated, Any

import typer

from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_PROXY, CONTAINER_TRITON
from triton_operator.cli.cluster.names import complete_pods
from triton_operator.cli.cluster.objects import names, pods_of
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.logs.line import shown
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, kube_context
from triton_operator.cli.status.pods import container_statuses
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.cluster_objects import LogOptions
from triton_operator.sdk.kubernetes_client import KubernetesClient

EPILOG = """\b
Examples:
  tritonctl logs digits
  tritonctl logs digits -f --since 10m
  tritonctl logs digits --container prepare
  tritonctl logs digits --container proxy --since 1h
  tritonctl logs digits --pod digits-6d4cf56db6-x7k2p --previous
\b
The container `prepare` fetches and checks the models before the server starts; the container `triton` is the server.
The container `proxy` terminates TLS and writes the audit log, which is printed only if --container selects it.
"""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SINCE = re.compile(rf"({_PART.pattern})+")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class LogContainer(StrEnum):
    """Containers with logs."""

    PREPARE = CONTAINER_PREPARE
    TRITON = CONTAINER_TRITON
    PROXY = CONTAINER_PROXY


DEFAULT = (LogContainer.PREPARE, LogContainer.TRITON)
"""The containers without --container."""


def logs(
    name: Name,
    namespace: Namespace = "",
    pod: Annotated[
        str, typer.Option("--pod", metavar="POD", help="Print the logs of this pod only.", autocompletion=complete_pods)
    ] = "",
    container: Annotated[
        LogContainer | None,
        typer.Option("--container", "-c", help="Print the logs of this container only. [default: prepare and triton]"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stream the logs, including those of new pods, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Print lines newer than this, such as 30s, 10m or 2h.")
    ] = "",
    tail: Annotated[
        int, typer.Option("--tail", metavar="LINES", min=-1, help="Number of recent lines per container; -1 for all.")
    ] = -1,
    previous: Annotated[
        bool, typer.Option("--previous", help="Print the logs of each container's previous run.")
    ] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Print the logs of a ModelDeployment's containers.

    The exit status is 1 if no container has started yet.
    """
    options = LogOptions(since_seconds=seconds_of(since) if since else 0, tail=tail, previous=previous, follow=follow)
    if follow and previous:
        raise UsageError("--previous cannot be combined with --follow")
    client = KubernetesClient(kube_context(kubeconfig, context))
    containers = [container] if container else list(DEFAULT)
    pods = choose(pods_of(client, name, namespace), name, pod, empty=follow)
    if follow:
        from triton_operator.cli.logs.streams import follow_pods

        follow_pods(client, name, namespace, only=pod, pods=pods, containers=containers, options=options)
        return
    sources = [
        (each["metadata"]["name"], kind)
        for kind in containers
        for each in pods
        if has_logs(each, kind, previous=previous)
    ]
    if not sources:
        raise CommandFailedError(nothing_written(name, pods, container, previous=previous))
    several = len(sources) > 1
    for source in sources:
        _print_log(client, name, source, namespace, options, several=several)


def choose(pods: list[dict[str, Any]], name: str, pod: str, *, empty: bool) -> list[dict[str, Any]]:
    """Select the pods; raises UsageError for a pod of another deployment, CommandFailedError if there are none."""
    if pod and pod not in names(pods):
        known = ", ".join(names(pods)) or "none"
        raise UsageError(f"--pod: {name} has no pod {pod}; its pods are: {known}")
    if not pods and not empty:
        raise CommandFailedError(f"{name} has no pods; run `tritonctl status {name}` to see why")
    return [each for each in pods if not pod or each["metadata"]["name"] == pod]


def has_logs(pod: dict[str, Any], container: str, *, previous: bool = False) -> bool:
    """Whether this container has started (with `previous`: has restarted) at least once."""
    for status in container_statuses(pod):
        if status.get("name") == container:
            state = status.get("lastState" if previous else "state", {})
            return "terminated" in state or (not previous and "running" in state) or _ran_before(status, previous)
    return False


def nothing_written(name: str, pods: list[dict[str, Any]], container: LogContainer | None, *, previous: bool) -> str:
    """The error message if there are no logs."""
    known = {status.get("name") for pod in pods for status in container_statuses(pod)}
    if known and container and container not in known:
        return f"the pods of {name} have no container {container}; theirs are: {', '.join(sorted(filter(None, known)))}"
    if previous:
        return f"no container of {name} has restarted; omit --previous"
    waiting_for = {
        status["state"]["waiting"].get("reason", "")
        for pod in pods
        for status in container_statuses(pod)
        if "waiting" in status.get("state", {})
    } - {"", "PodInitializing"}
    why = f" ({', '.join(sorted(waiting_for))})" if waiting_for else ""
    return f"no container of {name} has started yet{why}; run `tritonctl status {name}` to see why, or use -f to wait"


def seconds_of(since: str) -> int:
    """Convert a duration such as 1h30m to seconds, at least one; raises UsageError."""
    if not _SINCE.fullmatch(since):
        raise UsageError(f"--since: {since!r} is not a duration; use, for example, 30s, 10m or 2h")
    return max(1, math.ceil(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(since))))


def _print_log(
    client: KubernetesClient, name: str, source: tuple[str, str], namespace: str, options: LogOptions, *, several: bool
) -> None:
    with spinner("reading the logs"):
        lines = list(client.log(*source, namespace, options))
    for line in lines:
        say(shown(line, *source, name, several=several).expandtabs())


def _ran_before(status: dict[str, Any], previous: bool) -> bool:  # noqa: FBT001 - private, one caller.
    """A container that is waiting to restart has the logs of its last run."""
    return not previous and "terminated" in status.get("lastState", {})
