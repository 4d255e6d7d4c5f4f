"""The data that `tritonctl status` prints, computed from a ModelDeployment and its children.

Pure. Input: the JSON of a ModelDeployment and of its children. Output: a `StatusReport`, or a `Summary` for a list. A
Ready condition counts only if it is about the latest generation.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.status import CacheStatus, Condition, Control, Endpoints, Failure, ModelStatus
from triton_operator.cli.status.pods import is_ready, pod_state, restarts
from triton_operator.cli.status.tree import TreeNode, build_tree
from triton_operator.sdk.status import judge, read_status


class PodReport(msgspec.Struct, frozen=True, rename="camel"):
    """One pod; `state` is its first problem, or its phase."""

    name: str
    ready: bool
    state: str
    restarts: int
    node: str
    message: str = ""


class StatusReport(msgspec.Struct, frozen=True, rename="camel"):
    """One deployment in full, in the order in which it is printed."""

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
    controls: tuple[Control, ...] = ()
    cache: CacheStatus | None = None
    last_failure: Failure | None = None
    children: tuple[TreeNode, ...] = ()


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """One deployment in a list."""

    name: str
    namespace: str
    ready: bool
    reason: str
    message: str
    replicas: int
    ready_replicas: int
    models: tuple[str, ...]


def summary(deployment: dict[str, Any]) -> Summary:
    """Summarize a deployment from its own status."""
    metadata, status = deployment["metadata"], read_status(deployment)
    ready, reason, message = verdict(deployment)
    models = tuple(str(model.get("name", "")) for model in deployment.get("spec", {}).get("models", []))
    return Summary(
        metadata["name"], metadata["namespace"], ready, reason, message, status.replicas, status.ready_replicas, models
    )


def report(deployment: dict[str, Any], children: list[dict[str, Any]]) -> StatusReport:
    """Report on a deployment and its children."""
    pods = [child for child in children if child.get("kind", "Pod") == "Pod"]
    metadata = deployment["metadata"]
    status = read_status(deployment)
    ready, reason, message = verdict(deployment)
    return StatusReport(
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
        controls=status.privacy.controls if status.privacy else (),
        cache=status.cache,
        last_failure=status.last_failure,
        children=build_tree(children),
    )


def verdict(deployment: dict[str, Any]) -> tuple[bool, str, str]:
    """Whether the latest generation is Ready, with the reason and the message."""
    found = judge(deployment)
    return found.ready, found.reason, found.message


def _pod(pod: dict[str, Any]) -> PodReport:
    state, message = pod_state(pod)
    return PodReport(
        name=pod["metadata"]["name"],
        ready=is_ready(pod),
        state=state,
        restarts=restarts(pod),
        node=pod.get("spec", {}).get("nodeName", ""),
        message=message,
    )
