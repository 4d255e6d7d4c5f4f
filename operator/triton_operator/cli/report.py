"""What `tritonctl status` says of a deployment: judged from the object and its pods, printed elsewhere.

Pure. Enters: the JSON of a ModelDeployment and of its pods. Leaves: a `Report`. Whether it is Ready counts only
for the generation that the user wrote last: an older answer is no answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.conditions import READY
from triton_operator.api.status import CacheStatus, Condition, Endpoints, Failure, ModelStatus, Status, Truth

NOT_SEEN = "NotSeenYet"
OUTDATED = "Outdated"


class PodReport(msgspec.Struct, frozen=True, rename="camel"):
    """One pod; `state` is what hinders it, or its phase."""

    name: str
    ready: bool
    state: str
    restarts: int
    node: str
    message: str = ""


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """The whole answer, in the order in which it is read."""

    name: str
    namespace: str
    ready: bool
    reason: str
    message: str
    replicas: int
    ready_replicas: int
    models: tuple[ModelStatus, ...]
    conditions: tuple[Condition, ...]
    endpoints: Endpoints
    pods: tuple[PodReport, ...]
    cache: CacheStatus | None = None
    last_failure: Failure | None = None


def report(deployment: dict[str, Any], pods: list[dict[str, Any]]) -> Report:
    """Judge a deployment."""
    metadata = deployment["metadata"]
    status = read_status(deployment)
    ready, reason, message = verdict(deployment)
    return Report(
        name=metadata["name"],
        namespace=metadata["namespace"],
        ready=ready,
        reason=reason,
        message=message,
        replicas=status.replicas,
        ready_replicas=status.ready_replicas,
        models=status.models,
        conditions=status.conditions,
        endpoints=status.endpoints,
        pods=tuple(_pod(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))),
        cache=status.cache,
        last_failure=status.last_failure,
    )


def verdict(deployment: dict[str, Any]) -> tuple[bool, str, str]:
    """Whether the deployment is Ready as it is written now, with the reason and the message."""
    status = read_status(deployment)
    found = next((condition for condition in status.conditions if condition.type == READY), None)
    if found is None:
        return (
            False,
            NOT_SEEN,
            "The operator has not reported on this object yet; is it running, and does it watch this namespace?",
        )
    if status.observed_generation < deployment["metadata"].get("generation", 0):
        return False, OUTDATED, f"The operator has not seen the latest change yet; before it: {found.reason}"
    return found.status is Truth.TRUE, found.reason, found.message


def read_status(deployment: dict[str, Any]) -> Status:
    """The typed status; an empty one where the operator has written none."""
    return msgspec.convert({"observedGeneration": 0, **deployment.get("status", {})}, Status)


def _pod(pod: dict[str, Any]) -> PodReport:
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    state, message = _state(pod, status, containers)
    return PodReport(
        name=pod["metadata"]["name"],
        ready=any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", [])),
        state=state,
        restarts=sum(container.get("restartCount", 0) for container in containers),
        node=pod.get("spec", {}).get("nodeName", ""),
        message=message,
    )


def _state(pod: dict[str, Any], status: dict[str, Any], containers: list[dict[str, Any]]) -> tuple[str, str]:
    """The first thing that hinders a pod, with Kubernetes' own sentence; else its phase."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating", ""
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "PodInitializing") not in {"PodInitializing", "ContainerCreating"}:
            return waiting["reason"], waiting.get("message", "")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Pending"), condition.get("message", "")
    return status.get("reason") or status.get("phase", "Pending"), status.get("message", "")
