"""States of a pod and its containers, in kubectl's terms.

Pure. Input: the JSON of a pod. Output: states and messages for `report`, `tree` and `logs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

_STARTING = {"PodInitializing", "ContainerCreating"}


def container_statuses(pod: Object) -> list[Object]:
    """The statuses of all containers, in the order in which they run."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def is_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def restarts(pod: Object) -> int:
    """The number of restarts of all its containers."""
    return sum(container.get("restartCount", 0) for container in container_statuses(pod))


def pod_state(pod: Object) -> tuple[str, str]:
    """The first problem of a pod with Kubernetes' message, or its phase."""
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating", ""
    for container in container_statuses(pod):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "PodInitializing") not in _STARTING:
            return waiting["reason"], waiting.get("message", "")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Pending"), condition.get("message", "")
    return status.get("reason") or status.get("phase", "Pending"), status.get("message", "")


def container_nodes(pod: Object) -> Iterator[tuple[str, str, str, str, bool | None]]:
    """For each container: "Container", its name, its state with restarts, a message, and whether it is healthy."""
    for status in container_statuses(pod):
        state, message, good = _container_state(status)
        again = status.get("restartCount", 0)
        count = f", restarted {again} time{'s' if again > 1 else ''}" if again else ""
        yield "Container", str(status.get("name", "")), f"{state}{count}", message, good


def _container_state(status: Object) -> tuple[str, str, bool | None]:
    state = status.get("state", {})
    if waiting := state.get("waiting"):
        reason = waiting.get("reason", "Waiting")
        return reason, _first_line(waiting.get("message", "")), None if reason in _STARTING else False
    if ended := state.get("terminated"):
        code = ended.get("exitCode", 0)
        return (
            f"{ended.get('reason', 'Terminated')}{f' with {code}' if code else ''}",
            _first_line(ended.get("message", "")) if code else "",
            code == 0,
        )
    if "running" in state:
        return "Running" if status.get("ready") else "Running, not ready", "", status.get("ready") or None
    return "Waiting", "", None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
