"""Why a serving pod does not serve, in the words of whoever knows: scheduler, kubelet, `prepare` or Triton.

Pure. `diagnose` asks the checks in the order in which a pod comes up; the first that finds something wins. None means
that nothing is wrong (yet).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.names import CONTAINER_PREPARE
from triton_operator.cluster.observed import Container, Pod, PodEvent, Terminated
from triton_operator.resources.probes import STARTUP_SECONDS
from triton_operator.triton.outcome import PrepareFailed, read_prepare
from triton_operator.triton.server_log import LoadFailure, read_server

_PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_PAST_THE_VOLUMES = frozenset({"Pulling", "Pulled", "Created", "Started"})
"""Events after which an older warning about a volume is history."""
_MESSAGE_LINES = 5
STARTUP_BUDGET = timedelta(seconds=STARTUP_SECONDS)


class Diagnosis(NamedTuple):
    """A condition reason and a sentence for a person; `model` is the model's name where one is to blame."""

    reason: str
    message: str
    model: str = ""


def diagnose(pod: Pod, events: Sequence[PodEvent], gpu_resource: str = "") -> Diagnosis | None:
    """What is wrong with a pod that is not ready; `gpu_resource` is the one that the deployment asks for."""
    return (
        _not_scheduled(pod, gpu_resource)
        or _evicted(pod)
        or _image_not_pulled(pod)
        or _container_not_made(pod)
        or _prepare_failed(pod)
        or _server_failed(pod)
        or _volume_not_mounted(events)
    )


def _describe_end(ended: Terminated) -> str:
    """How a container ended, and the last lines that it left."""
    lines = [line.strip() for line in ended.message.strip().splitlines() if line.strip()]
    return ": ".join([_describe_code(ended), *([" / ".join(lines[-_MESSAGE_LINES:])] if lines else [])])


def _describe_code(ended: Terminated) -> str:
    """Shells and runtimes report a death by signal N as exit code 128 + N."""
    signal = ended.signal or max(ended.exit_code - 128, 0)
    return f"exit code {ended.exit_code} (signal {signal})" if signal else f"exit code {ended.exit_code}"


def _not_scheduled(pod: Pod, gpu_resource: str) -> Diagnosis | None:
    for condition in pod.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return Diagnosis(_scheduling_reason(condition.message, gpu_resource), condition.message)
    return None


def _scheduling_reason(message: str, gpu_resource: str) -> str:
    if gpu_resource and f"Insufficient {gpu_resource}" in message:
        return Reason.INSUFFICIENT_GPU
    if "unbound immediate PersistentVolumeClaims" in message or "didn't find available persistent volumes" in message:
        return Reason.VOLUME_UNBOUND
    if re.search(r'persistentvolumeclaim "[^"]+" not found', message):
        return Reason.DEPENDENCY_MISSING
    return Reason.UNSCHEDULABLE


def _evicted(pod: Pod) -> Diagnosis | None:
    if pod.phase != "Failed" or not pod.reason:
        return None
    return Diagnosis(Reason.CRASHED, f"pod {pod.name}: {pod.reason}: {pod.message}")


def _image_not_pulled(pod: Pod) -> Diagnosis | None:
    for container in pod.containers:
        if container.waiting_reason in _PULL_REASONS:
            message = container.waiting_message or container.waiting_reason
            return Diagnosis(Reason.IMAGE_PULL_FAILED, f"container {container.name}: {message}")
    return None


def _container_not_made(pod: Pod) -> Diagnosis | None:
    for container in pod.containers:
        if container.waiting_reason in _CONFIG_REASONS:
            message = f"container {container.name}: {container.waiting_reason}: {container.waiting_message}"
            missing = "not found" in container.waiting_message
            return Diagnosis(Reason.DEPENDENCY_MISSING if missing else Reason.CRASHED, message)
    return None


def _prepare_failed(pod: Pod) -> Diagnosis | None:
    container = _find(pod, CONTAINER_PREPARE)
    ended = _last_end(container)
    return judge_end(container, ended) if container and ended and ended.exit_code else None


def _server_failed(pod: Pod) -> Diagnosis | None:
    for container in pod.containers:
        ended = None if container.init or container.ready else _last_end(container)
        if ended:
            return judge_end(container, ended)
    return None


def judge_end(container: Container, ended: Terminated) -> Diagnosis:
    """What the end of a container means; also told as the last failure, after it is mended."""
    if ended.reason == "OOMKilled":
        advice = "" if container.init else "; raise spec.resources.limits.memory or remove the limit"
        return Diagnosis(Reason.OUT_OF_MEMORY, f"container {container.name} was killed for memory{advice}")
    return _judge_prepare(ended) if container.name == CONTAINER_PREPARE else _judge_server(container, ended)


def _judge_prepare(ended: Terminated) -> Diagnosis:
    report = read_prepare(ended.message)
    if isinstance(report, PrepareFailed):
        return Diagnosis(report.reason, report.message, report.model)
    return Diagnosis(Reason.PREPARE_FAILED, f"container {CONTAINER_PREPARE} ended with {_describe_end(ended)}")


def _judge_server(container: Container, ended: Terminated) -> Diagnosis:
    found = next(iter(read_server(ended.message)), None)
    if isinstance(found, LoadFailure):
        version = f" version {found.version}" if found.version else ""
        return Diagnosis(
            Reason.MODEL_LOAD_FAILED, f"failed to load '{found.model}'{version}: {found.message}", found.model
        )
    if ended.exit_code == 0 and _ran_for(ended) >= STARTUP_BUDGET and not container.ready:
        # Seen: a kill by the startup probe is reported as `exitCode 0, reason Completed`, without a message. A kill by
        # the liveness probe looks the same but for the time.
        return Diagnosis(
            Reason.STARTUP_TIMEOUT, f"container {container.name} was not ready within its start-up budget and was ended"
        )
    how = f"container {container.name} ended with {_describe_code(ended)}"
    return Diagnosis(Reason.CRASHED, f"{how}: {found.message}" if found else how, found.model if found else "")


def _ran_for(ended: Terminated) -> timedelta:
    if not (ended.started_at and ended.finished_at):
        return timedelta(0)
    return datetime.fromisoformat(ended.finished_at) - datetime.fromisoformat(ended.started_at)


def _volume_not_mounted(events: Sequence[PodEvent]) -> Diagnosis | None:
    for event in reversed(events):
        if event.reason in _PAST_THE_VOLUMES:
            return None
        if event.reason in {"FailedMount", "FailedAttachVolume"}:
            missing = "not found" in event.message
            return Diagnosis(Reason.DEPENDENCY_MISSING if missing else Reason.VOLUME_UNBOUND, event.message)
        if event.reason in {"Failed", "FailedCreatePodSandBox"}:
            pull = "pull" in event.message
            return Diagnosis(Reason.IMAGE_PULL_FAILED if pull else Reason.CRASHED, event.message)
    return None


def _find(pod: Pod, name: str) -> Container | None:
    return next((container for container in pod.containers if container.name == name), None)


def _last_end(container: Container | None) -> Terminated | None:
    """How the container ended, now or before its last restart."""
    return (container.terminated or container.last_terminated) if container else None
