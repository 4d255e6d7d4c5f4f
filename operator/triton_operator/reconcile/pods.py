"""Facts about one pod or container, as the kubelet reports them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_PROXY, CONTAINER_TRITON
from triton_operator.cluster.observed import Container, Pod, Terminated
from triton_operator.reconcile.times import parse_time

_PULL_FAILURES = frozenset({"ErrImagePull", "ImagePullBackOff"})
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})

ADDED_BY_OTHERS = "which spec.podTemplate or another program added"
"""Part of a message about a container for which `is_injected` holds."""


def is_ready(pod: Pod) -> bool:
    """Whether the kubelet reports the pod as ready: Triton passed its strict readiness probe."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.conditions)


def is_over(pod: Pod) -> bool:
    """Whether the pod has ended for good."""
    return pod.phase in {"Failed", "Succeeded"}


def revisions_of_pods(pods: Iterable[Pod]) -> frozenset[str]:
    """The hashes of the templates of the pods that have not ended for good."""
    return frozenset(pod.revision for pod in pods if not is_over(pod))


def is_loaded(pod: Pod) -> bool:
    """Whether Triton is ready, which it is only with every model; other containers do not count."""
    return any(container.name == CONTAINER_TRITON and container.ready for container in pod.containers)


def is_prepared(pod: Pod) -> bool:
    """Whether `prepare` has succeeded in this pod."""
    return any(
        container.name == CONTAINER_PREPARE and container.terminated is not None and container.terminated.exit_code == 0
        for container in pod.containers
    )


def is_stuck(pod: Pod) -> bool:
    """Whether the pod is scheduled, but no container has made progress and none reports why."""
    if pod.deleting or not pod.node or pod.phase != "Pending":
        return False
    return all(
        not container.running and container.terminated is None and container.waiting_reason in _STARTING
        for container in pod.containers
    )


def waits_for_image(pod: Pod) -> bool:
    """Whether the kubelet cannot pull the image of some container."""
    return any(container.waiting_reason in _PULL_FAILURES for container in pod.containers)


def is_injected(container: Container) -> bool:
    """Whether somebody else added the container: a user in `spec.podTemplate`, or a webhook a service mesh's proxy."""
    return container.name not in {CONTAINER_PREPARE, CONTAINER_TRITON} and not is_proxy(container)


def is_proxy(container: Container) -> bool:
    """Whether it is the native sidecar that terminates TLS."""
    return container.init and container.name == CONTAINER_PROXY


def last_termination(container: Container) -> Terminated | None:
    """How the container ended, now or before its last restart."""
    return container.terminated or container.last_terminated


def created_at(pod: Pod) -> datetime:
    """When the pod was created."""
    return parse_time(pod.created_at) or datetime.min.replace(tzinfo=UTC)


def ended_at(pod: Pod) -> str:
    """When the last container of a finished pod ended; when the pod was created, if no container had started."""
    ends = [container.terminated.finished_at for container in pod.containers if container.terminated]
    return max(ends, default="") or pod.created_at
