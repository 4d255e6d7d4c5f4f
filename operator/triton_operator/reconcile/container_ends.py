"""Why a container ended: `prepare` reports it as one line of JSON, Triton at the end of its log.

Pure. Input: a container and how it ended. Output: diagnoses, the most important first. `pod_failures` uses them for
pods that do not serve, `status` for the last failure, which is reported even after it is fixed.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from triton_operator.api.conditions import PREPARE_REASONS, Reason
from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_PROXY, CONTAINER_TRITON
from triton_operator.api.quantity import GI, MI, format_bytes, parse_bytes
from triton_operator.cluster.observed import Container, Terminated
from triton_operator.reconcile.pods import ADDED_BY_OTHERS, is_injected, is_proxy
from triton_operator.reconcile.retry_hint import restart_hint
from triton_operator.reconcile.times import parse_time
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, read_prepare
from triton_operator.triton.proxy_contract.outcome import read as read_proxy
from triton_operator.triton.server.log import Failure, LoadFailure, last_lines, read_server

PROBE_SLACK = timedelta(seconds=30)
"""Longest time between the startup timeout and the kill by the probe: last probe, grace period, clean-up."""

_KILLS = frozenset({0, 137, 143})
"""Exit codes after a kill by a probe: Triton shut down cleanly (observed: 0, Completed), SIGKILL, SIGTERM."""


class Diagnosis(NamedTuple):
    """A condition reason and a message.

    `model` is the name of the model that is the cause, "" if none is. `retry_hint` is whether and when it is retried,
    "" if unknown. `injected`: the cause is something that others added to the pod, not Triton.
    """

    reason: str
    message: str
    model: str = ""
    retry_hint: str = ""
    injected: bool = False


def judge_end(container: Container, ended: Terminated, arguments: Sequence[str] = ()) -> tuple[Diagnosis, ...]:
    """Why a container ended, at least one diagnosis; `arguments` are the user's arguments of Triton."""
    found = _judge(container, ended, arguments)
    return tuple(each._replace(retry_hint=restart_hint(each.reason, container, ended)) for each in found)


def _judge_injected(container: Container, ended: Terminated) -> Diagnosis:
    """Report it as it is; its log is not read as Triton's, and its limits are not those of the spec."""
    name = f"container {container.name}, {ADDED_BY_OTHERS},"
    if ended.reason == "OOMKilled":
        return Diagnosis(Reason.OUT_OF_MEMORY, f"{name} {_describe_oom(container)}")
    return Diagnosis(Reason.CRASHED, f"{name} terminated with {_describe_end(ended)}")


def _judge(container: Container, ended: Terminated, arguments: Sequence[str]) -> tuple[Diagnosis, ...]:
    if is_injected(container):
        return (_judge_injected(container, ended)._replace(injected=True),)
    if ended.reason == "OOMKilled":
        return (Diagnosis(Reason.OUT_OF_MEMORY, _describe_lack_of_memory(container)),)
    if container.name == CONTAINER_PREPARE:
        return (_judge_prepare(ended),)
    if is_proxy(container):
        return (_judge_proxy(ended),)
    return _judge_server(container, ended, arguments)


def _describe_lack_of_memory(container: Container) -> str:
    """The limit and, for a container of the operator, what to set instead."""
    killed = f"container {container.name} {_describe_oom(container)}"
    field = _field_of_resources(container)
    if not field:
        return killed
    if not container.memory_limit:
        return f"{killed}; set {field}.requests.memory to what it needs"
    more = more_memory(container.memory_limit)
    return f"{killed}; try {field}.limits.memory: {more}" if more else killed


def _describe_oom(container: Container) -> str:
    if not container.memory_limit:
        return "was killed because its node ran out of memory"
    return f"exceeded its memory limit of {container.memory_limit} and was killed"


def _field_of_resources(container: Container) -> str:
    """The field with its resources, "" for an injected container; a Job's `prepare` is not an init container."""
    if container.name == CONTAINER_TRITON:
        return "spec.resources"
    if container.name == CONTAINER_PREPARE:
        return "spec.prepare.resources" if container.init else "spec.cache.resources"
    return "spec.privacy.proxy.resources" if is_proxy(container) else ""


def more_memory(limit: str) -> str:
    """1.5 times the limit, rounded up to a round number; "" for text that is not a quantity."""
    count = parse_bytes(limit)
    if not count:
        return ""
    more = count + count // 2
    step = 64 * MI if more <= GI else 256 * MI if more <= 4 * GI else GI
    return format_bytes(-(-more // step) * step)


def _judge_prepare(ended: Terminated) -> Diagnosis:
    report = read_prepare(ended.message)
    if not isinstance(report, PrepareFailed):
        return Diagnosis(Reason.PREPARE_FAILED, f"container {CONTAINER_PREPARE} terminated with {_describe_end(ended)}")
    about = f"model {report.model}: " if report.model and not _mentions(report.message, report.model) else ""
    if report.reason in PREPARE_REASONS:
        return Diagnosis(report.reason, f"{about}{report.message}", report.model)
    # From a `prepare` of another release; the API server may not accept its word as a reason.
    return Diagnosis(Reason.PREPARE_FAILED, f"{report.reason}: {about}{report.message}", report.model)


def _mentions(message: str, model: str) -> bool:
    """Whether the message contains the model's name as a word; a file in a path may have the same name."""
    return re.search(rf"(?<![\w/.-]){re.escape(model)}(?![\w.-])", message) is not None


def _judge_proxy(ended: Terminated) -> Diagnosis:
    """In its own words, because the operator cannot read the Secret of a user."""
    problem = read_proxy(ended.message)
    reason = Reason.CERTIFICATE_INVALID if "certificate" in problem else Reason.CRASHED
    return Diagnosis(reason, f"container {CONTAINER_PROXY}: {problem or f'terminated with {_describe_end(ended)}'}")


def _judge_server(container: Container, ended: Terminated, arguments: Sequence[str]) -> tuple[Diagnosis, ...]:
    found = read_server(ended.message)
    if found:
        return tuple(_judge_failure(failure, container, ended, arguments) for failure in found)
    if _is_startup_timeout(container, ended):
        return (
            Diagnosis(
                Reason.STARTUP_TIMEOUT,
                f"container {container.name} was not ready within its startup timeout of {container.startup_seconds} s "
                "and was killed",
            ),
        )
    hint = ", as after a failed liveness probe" if ended.exit_code == 0 else ""
    return (Diagnosis(Reason.CRASHED, f"container {container.name} terminated with {_describe_end(ended)}{hint}"),)


def _judge_failure(failure: Failure, container: Container, ended: Terminated, arguments: Sequence[str]) -> Diagnosis:
    if isinstance(failure, LoadFailure):
        version = f" version {failure.version}" if failure.version else ""
        return Diagnosis(failure.reason, f"failed to load '{failure.model}'{version}: {failure.message}", failure.model)
    if failure.reason == Reason.SERVER_ARGUMENT_INVALID:
        return Diagnosis(failure.reason, f"{failure.message}; {_name_arguments(arguments)}")
    how = f"container {container.name} terminated with {_describe_code(ended)}"
    return Diagnosis(failure.reason, f"{how}: {failure.message}", failure.model)


def _name_arguments(arguments: Sequence[str]) -> str:
    """Triton's usage is so long that the argument's name is often cut off. Then these are the candidates."""
    if arguments:
        return f"spec.triton.extraArgs contains {', '.join(arguments)}"
    return (
        "spec.triton.extraArgs is empty, so the image probably has a different release; "
        "set spec.triton.version to the release of the image"
    )


def _is_startup_timeout(container: Container, ended: Terminated) -> bool:
    """Observed: a kill by the startup probe is reported as `exitCode 0, reason Completed`, without a message.

    A kill by the liveness probe differs only in the time.
    """
    start, end = parse_time(ended.started_at), parse_time(ended.finished_at)
    if not (start and end and container.startup_seconds) or container.ready or ended.exit_code not in _KILLS:
        return False
    budget = timedelta(seconds=container.startup_seconds)
    return budget <= end - start <= budget + PROBE_SLACK


def _describe_end(ended: Terminated) -> str:
    """How a container ended, and the last lines of its output."""
    last = last_lines(ended.message)
    return f"{_describe_code(ended)}: {last}" if last else _describe_code(ended)


def _describe_code(ended: Terminated) -> str:
    """Shells and runtimes report termination by signal N as exit code 128 + N."""
    number = ended.signal or max(ended.exit_code - 128, 0)
    try:
        return f"exit code {ended.exit_code} ({signal.Signals(number).name})"
    except ValueError:
        return f"exit code {ended.exit_code}"
