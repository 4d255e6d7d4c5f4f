"""Why a serving pod does not serve, as reported by the scheduler, the kubelet, `prepare` or Triton.

Pure. `diagnose` runs the checks in the order in which a pod starts, and the first result counts. No result means that
nothing is wrong (yet).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triton_operator.api.conditions import Reason
from triton_operator.api.gpu import Gpu
from triton_operator.api.names import CONTAINER_PREPARE
from triton_operator.api.spec import Spec
from triton_operator.cluster.observed import Pod, PodEvent
from triton_operator.reconcile.container_ends import Diagnosis, judge_end
from triton_operator.reconcile.pods import is_injected, is_loaded, is_proxy, last_termination
from triton_operator.reconcile.retry_hint import retry_hint
from triton_operator.reconcile.surge_obstacle import NO_DEVICES

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
_AFTER_VOLUMES = frozenset({"Pulling", "Pulled", "Created", "Started"})
"""Events after which older warnings about volumes are obsolete."""
_SPACE = re.compile(r"emptydir volume|ephemeral[- ](?:local )?storage|nodefs|imagefs|containerfs|inodes", re.IGNORECASE)
"""Found in the kubelet's messages about evictions because of disks or memory-backed volumes."""
_CLAIM_MISSING = re.compile(r'resourceclaim(?:template)?(?:\.resource\.k8s\.io)? "[^"]+" not found')
_MISSING = re.compile(r"not found|non-existent")
_GATE = re.compile(r'readiness gate "([^"]+)"')
_TRANSIENT = re.compile(r"not registered|failed to sync \w+ cache")
"""Found in the kubelet's warnings that its own caches are not ready; they say nothing about the volume."""


def diagnose(pod: Pod, events: Sequence[PodEvent], spec: Spec) -> tuple[Diagnosis, ...]:
    """What is wrong with a pod that is not ready, the most important first."""
    for found in (
        _not_scheduled(pod, spec),
        node_lost(pod),
        judge_eviction(pod, spec),
        _image_not_pulled(pod, events),
        _container_not_created(pod),
    ):
        if found:
            return (found._replace(retry_hint=retry_hint(found.reason)),)
    ended = (_prepare_failed(pod) or _proxy_failed(pod) or _server_failed(pod, spec)) + _injected_failed(pod)
    return ended or _volume_not_mounted(pod, events) or _not_ready_otherwise(pod)


def judge_eviction(pod: Pod, spec: Spec) -> Diagnosis | None:
    """Why the kubelet has ended a pod for good; None if it has not."""
    if pod.phase != "Failed" or not pod.reason:
        return None
    message = f"pod {pod.name}: {pod.reason}: {pod.message}"
    if pod.reason.startswith("OutOf"):  # The node had less left than the scheduler assumed: OutOfcpu, ...
        resource = spec.gpu.extended_resource if spec.gpu else ""
        is_gpu = bool(resource) and pod.reason.endswith(resource)
        return Diagnosis(Reason.INSUFFICIENT_GPU if is_gpu else Reason.UNSCHEDULABLE, message)
    if pod.reason == "NodeLost":
        return Diagnosis(Reason.NODE_LOST, message)
    if pod.reason == "Evicted" and _SPACE.search(pod.message):
        return Diagnosis(Reason.OUT_OF_SPACE, message)
    if pod.reason == "Evicted" and "memory" in pod.message:
        return Diagnosis(Reason.OUT_OF_MEMORY, message)
    return Diagnosis(Reason.CRASHED, message)


def _not_scheduled(pod: Pod, spec: Spec) -> Diagnosis | None:
    for condition in pod.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return _judge_scheduling(condition.message, pod, spec)
    return None


def _judge_scheduling(message: str, pod: Pod, spec: Spec) -> Diagnosis:
    if spec.gpu and _lacks_gpus(message, spec.gpu):
        return Diagnosis(Reason.INSUFFICIENT_GPU, message)
    if _CLAIM_MISSING.search(message):
        return Diagnosis(Reason.DEPENDENCY_MISSING, f"in namespace {pod.namespace}: {message}")
    if "unbound immediate PersistentVolumeClaims" in message or "didn't find available persistent volumes" in message:
        return Diagnosis(Reason.VOLUME_UNBOUND, f"{_name_claims(pod)} not bound to a volume: {message}")
    if re.search(r'persistentvolumeclaim "[^"]+" not found', message):
        return Diagnosis(Reason.DEPENDENCY_MISSING, f"in namespace {pod.namespace}: {message}")
    return Diagnosis(Reason.UNSCHEDULABLE, message)


def _lacks_gpus(message: str, gpu: Gpu) -> bool:
    resource = gpu.extended_resource
    return f"Insufficient {resource}" in message if resource else NO_DEVICES in message


def _name_claims(pod: Pod) -> str:
    several = len(pod.claims) > 1
    names = f"claim{'s' if several else ''} {', '.join(pod.claims)}" if pod.claims else "a claim"
    return f"{names} in namespace {pod.namespace} {'are' if several else 'is'}"


def node_lost(pod: Pod) -> Diagnosis | None:
    """A diagnosis if the pod's node has stopped reporting, without reading nodes, which needs another permission.

    The node controller then sets the pod's Ready to False and leaves everything else as the kubelet wrote it last:
    every container ready, and no reason. A kubelet that sets Ready to False adds a reason.
    """
    unready = any(each.type == "Ready" and each.status == "False" and not each.reason for each in pod.conditions)
    serving = [container for container in pod.containers if not container.init]
    if not (unready and serving and all(container.ready for container in serving)):
        return None
    return Diagnosis(Reason.NODE_LOST, f"node {pod.node} of pod {pod.name} has stopped reporting")


def _image_not_pulled(pod: Pod, events: Sequence[PodEvent]) -> Diagnosis | None:
    missing = next((event for event in reversed(events) if event.reason == "FailedToRetrieveImagePullSecret"), None)
    for container in pod.containers:
        if container.waiting_reason in _PULL_REASONS:
            message = container.waiting_message or container.waiting_reason
            if missing:  # The registry's response alone would look like a wrong password.
                details = f"in namespace {pod.namespace}: {missing.message.rstrip('.')}"
                return Diagnosis(Reason.DEPENDENCY_MISSING, f"{details}; container {container.name}: {message}")
            return Diagnosis(Reason.IMAGE_PULL_FAILED, f"container {container.name}: {message}")
    return None


def _container_not_created(pod: Pod) -> Diagnosis | None:
    for container in pod.containers:
        if container.waiting_reason in _CONFIG_REASONS:
            details = f"{container.waiting_reason}: {container.waiting_message}"
            if _MISSING.search(container.waiting_message):
                return Diagnosis(Reason.DEPENDENCY_MISSING, f"in namespace {pod.namespace}: {details}")
            return Diagnosis(Reason.PODS_NOT_READY, f"container {container.name}: {details}")
    return None


def _prepare_failed(pod: Pod) -> tuple[Diagnosis, ...]:
    container = next((container for container in pod.containers if container.name == CONTAINER_PREPARE), None)
    ended = last_termination(container) if container else None
    return judge_end(container, ended) if container and ended and ended.exit_code else ()


def _proxy_failed(pod: Pod) -> tuple[Diagnosis, ...]:
    """The last end of the proxy, until it listens again: meanwhile Triton cannot become ready."""
    container = next(filter(is_proxy, pod.containers), None)
    ended = last_termination(container) if container and not container.ready else None
    return judge_end(container, ended) if container and ended else ()


def _server_failed(pod: Pod, spec: Spec) -> tuple[Diagnosis, ...]:
    """The last end of a container that has not started again; if it has, it is unready for another reason."""
    for container in (each for each in pod.containers if not is_injected(each)):
        has_started = container.running and container.started
        ended = None if container.init or container.ready or has_started else last_termination(container)
        if ended:
            return judge_end(container, ended, spec.triton.extra_args)
    return ()


def _injected_failed(pod: Pod) -> tuple[Diagnosis, ...]:
    """Injected containers, except init containers that have succeeded and sidecars that have started again."""
    found: list[Diagnosis] = []
    for container in filter(is_injected, pod.containers):
        ended = last_termination(container)
        is_done = container.init and ended is not None and ended.exit_code == 0 and not container.restarts
        if ended and not (is_done or container.ready or (container.running and container.started)):
            found += judge_end(container, ended)
    return tuple(found)


def _not_ready_otherwise(pod: Pod) -> tuple[Diagnosis, ...]:
    """What prevents a pod from being ready although Triton is: a readiness gate or another container."""
    condition = next((each for each in pod.conditions if each.type == "Ready" and each.status == "False"), None)
    if condition is None or not (condition.reason and condition.message and is_loaded(pod)):
        return ()
    gates = [_describe_gate(pod, gate) for gate in _GATE.findall(condition.message)]
    message = "; ".join(filter(None, [f"pod {pod.name} is not ready: {condition.message}", *gates]))
    return (Diagnosis(Reason.PODS_NOT_READY, message, injected=True),)


def _describe_gate(pod: Pod, gate: str) -> str:
    """The condition that the gate waits for, "" if nobody has set it."""
    found = next((each for each in pod.conditions if each.type == gate), None)
    return ": ".join(filter(None, [gate, found.reason, found.message])) if found else ""


def _volume_not_mounted(pod: Pod, events: Sequence[PodEvent]) -> tuple[Diagnosis, ...]:
    for event in reversed(events):
        if event.reason in _AFTER_VOLUMES:
            return ()
        found = _judge_event(event, pod)
        if found:
            return (found._replace(retry_hint=retry_hint(found.reason)),)
    return ()


def _judge_event(event: PodEvent, pod: Pod) -> Diagnosis | None:
    if event.reason in {"FailedMount", "FailedAttachVolume"} and not _TRANSIENT.search(event.message):
        missing = _MISSING.search(event.message)
        reason = Reason.DEPENDENCY_MISSING if missing else Reason.VOLUME_UNBOUND
        return Diagnosis(reason, f"in namespace {pod.namespace}: {event.message}")
    if event.reason in {"Failed", "FailedCreatePodSandBox"}:
        pull = "pull" in event.message
        return Diagnosis(Reason.IMAGE_PULL_FAILED if pull else Reason.PODS_NOT_READY, event.message)
    return None
