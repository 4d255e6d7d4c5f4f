"""The objects of a deployment as a tree of owners, with the state of each.

Pure. Input: the JSON of all objects with the deployment's label. Output: nodes, including the pods' containers. Owners
are matched by uid; objects without an owner in the list are at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from triton_operator.cli.status.pods import container_nodes, is_ready, pod_state
from triton_operator.cluster.autoscaler_projection import describe_metrics, read_metrics
from triton_operator.cluster.resource_paths import CHILDREN, PODS, REPLICA_SETS
from triton_operator.cluster.stored_objects import StoredMetric

Object = dict[str, Any]

RESOURCES = (*CHILDREN.values(), PODS, REPLICA_SETS)
"""The kinds that the operator creates, and the kinds that Kubernetes creates from them."""

ORDER = (
    "Deployment",
    "Job",
    "PersistentVolumeClaim",
    "Service",
    "ScaledObject",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "ConfigMap",
    "ControllerRevision",
    "ServiceAccount",
)
"""The kinds that serve come first, those that users rarely need come last."""


class TreeNode(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One object or container; `good` is None if the object has no health."""

    kind: str
    name: str
    state: str = ""
    message: str = ""
    good: bool | None = None
    children: tuple[TreeNode, ...] = ()


def build_tree(items: Iterable[Object]) -> tuple[TreeNode, ...]:
    """The children as a tree, without ReplicaSets that have no pods."""
    by_owner: dict[str, list[Object]] = {}
    everything = list(items)
    known = {item["metadata"].get("uid", "") for item in everything}
    for item in everything:
        by_owner.setdefault(_owner(item, known), []).append(item)
    return _nodes(by_owner.get("", []), by_owner)


def _owner(item: Object, known: set[str]) -> str:
    owners = [str(owner.get("uid", "")) for owner in item["metadata"].get("ownerReferences", [])]
    return next((owner for owner in owners if owner and owner in known), "")


def _nodes(items: Sequence[Object], by_owner: dict[str, list[Object]]) -> tuple[TreeNode, ...]:
    nodes = (_node(item, by_owner) for item in sorted(items, key=_rank))
    return tuple(node for node in nodes if not (node.kind == "ReplicaSet" and not node.children and node.good))


def _rank(item: Object) -> tuple[int, str]:
    kind = item.get("kind", "")
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), str(item["metadata"]["name"]))


def _node(item: Object, by_owner: dict[str, list[Object]]) -> TreeNode:
    kind = str(item.get("kind", ""))
    state, message, good = _STATES.get(kind, _named)(item)
    children = _nodes(by_owner.get(item["metadata"].get("uid") or "-", []), by_owner)
    if kind == "Pod":
        children = tuple(TreeNode(*each) for each in container_nodes(item))
    if "deletionTimestamp" in item["metadata"]:
        state, good = "Terminating", None
    return TreeNode(kind, str(item["metadata"]["name"]), state, message, good, children)


NodeState: TypeAlias = tuple[str, str, bool | None]
"""State, message, and whether the state is good."""


def _named(item: Object) -> NodeState:
    """For kinds that have no state."""
    del item
    return "", "", None


def _replicas(item: Object) -> NodeState:
    desired, status = item.get("spec", {}).get("replicas", 1), item.get("status", {})
    ready = status.get("readyReplicas", 0)
    failed = next(
        (each.get("message", "") for each in status.get("conditions", []) if each.get("type") == "ReplicaFailure"), ""
    )
    return f"{ready}/{desired} ready", failed, ready >= desired and not failed


def _pod(item: Object) -> NodeState:
    state, message = pod_state(item)
    node = item.get("spec", {}).get("nodeName", "")
    return f"{state}{f' on {node}' if node else ''}", message, is_ready(item) or state == "Succeeded"


def _service(item: Object) -> NodeState:
    spec = item.get("spec", {})
    ports = ", ".join(f"{port.get('name', '')} {port.get('port', '')}".strip() for port in spec.get("ports", []))
    kind = "headless" if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP")
    return f"{kind}: {ports}", "", None


def _autoscaler(item: Object) -> NodeState:
    spec, status = item.get("spec", {}), item.get("status", {})
    limits = [each for each in status.get("conditions", []) if each.get("type") == "ScalingActive"]
    active = next((each.get("status") == "True" for each in limits), None)
    why = next((each.get("message", "") for each in limits if each.get("status") != "True"), "")
    now = f"{status.get('currentReplicas', 0)} now, {status.get('desiredReplicas', 0)} desired"
    metrics = describe_metrics(read_metrics(_metrics(spec, "metrics"), _metrics(status, "currentMetrics")))
    state = f"{spec.get('minReplicas', 1)} to {spec.get('maxReplicas', 1)}, {now}"
    return f"{state}: {metrics}" if metrics else state, why, active


def _scaled_object(item: Object) -> NodeState:
    spec, conditions = item.get("spec", {}), item.get("status", {}).get("conditions", [])
    ready: Object = next((each for each in conditions if each.get("type") == "Ready"), {})
    active = any(each.get("type") == "Active" and each.get("status") == "True" for each in conditions)
    good = {"True": True, "False": False}.get(str(ready.get("status")))
    bounds = f"{spec.get('minReplicaCount', 0)} to {spec.get('maxReplicaCount', 100)}"
    why = "" if good else str(ready.get("message", ""))
    return f"{bounds}, {'a trigger is active' if active else 'no trigger is active'}", why, good


def _metrics(part: Object, field: str) -> list[StoredMetric]:
    return msgspec.convert(part.get(field) or [], list[StoredMetric])


def _claim(item: Object) -> NodeState:
    status = item.get("status", {})
    size = status.get("capacity", {}).get("storage", "")
    phase = str(status.get("phase", "Pending"))
    return f"{phase}{f' {size}' if size else ''}", "", phase == "Bound"


def _job(item: Object) -> NodeState:
    status = item.get("status", {})
    ended = {
        each.get("type"): each.get("message", "")
        for each in status.get("conditions", [])
        if each.get("status") == "True"
    }
    if "Failed" in ended:
        return "Failed", ended["Failed"], False
    return ("Complete", "", True) if "Complete" in ended else (f"{status.get('active', 0)} active", "", None)


def _budget(item: Object) -> NodeState:
    return f"{item.get('status', {}).get('disruptionsAllowed', 0)} disruptions allowed", "", None


def _policy(item: Object) -> NodeState:
    spec = item.get("spec", {})
    parts = [f"{len(spec.get(kind.lower(), []))} {kind} rules" for kind in spec.get("policyTypes", [])]
    return ", ".join(parts), "", None


def _revision(item: Object) -> NodeState:
    return f"revision {item.get('revision', '')}", "", None


_STATES: dict[str, Callable[[Object], NodeState]] = {
    "Deployment": _replicas,
    "ReplicaSet": _replicas,
    "Pod": _pod,
    "Service": _service,
    "ScaledObject": _scaled_object,
    "HorizontalPodAutoscaler": _autoscaler,
    "PersistentVolumeClaim": _claim,
    "Job": _job,
    "PodDisruptionBudget": _budget,
    "NetworkPolicy": _policy,
    "ControllerRevision": _revision,
}
