"""The objects that belong to a deployment, as a tree: who made what, and how each is.

Pure. Input: the JSON of all children (whatever has the deployment's label). Output: nodes, the pods' containers among
them. Owners are followed by uid; what nobody in the list owns stands at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from triton_operator.cli.status.pods import container_nodes, is_ready, pod_state

Object = dict[str, Any]

KINDS = (
    "deployments.apps",
    "replicasets.apps",
    "pods",
    "services",
    "networkpolicies.networking.k8s.io",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "controllerrevisions.apps",
    "configmaps",
    "serviceaccounts",
    "persistentvolumeclaims",
    "jobs.batch",
)
"""Everything that the operator makes, and what Kubernetes makes of that."""

ORDER = (
    "Deployment",
    "Job",
    "PersistentVolumeClaim",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "ConfigMap",
    "ControllerRevision",
    "ServiceAccount",
)
"""What serves first, what one seldom asks about last."""


class Node(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One object or container; `good` is None where there is nothing to be good or bad about."""

    kind: str
    name: str
    state: str = ""
    message: str = ""
    good: bool | None = None
    children: tuple[Node, ...] = ()


def build_tree(items: Iterable[Object]) -> tuple[Node, ...]:
    """The children as a tree; ReplicaSets that have no pods are left out."""
    by_owner: dict[str, list[Object]] = {}
    everything = list(items)
    known = {item["metadata"].get("uid", "") for item in everything}
    for item in everything:
        by_owner.setdefault(_owner(item, known), []).append(item)
    return _nodes(by_owner.get("", []), by_owner)


def _owner(item: Object, known: set[str]) -> str:
    owners = [str(owner.get("uid", "")) for owner in item["metadata"].get("ownerReferences", [])]
    return next((owner for owner in owners if owner and owner in known), "")


def _nodes(items: Sequence[Object], by_owner: dict[str, list[Object]]) -> tuple[Node, ...]:
    nodes = (_node(item, by_owner) for item in sorted(items, key=_rank))
    return tuple(node for node in nodes if not (node.kind == "ReplicaSet" and not node.children and node.good))


def _rank(item: Object) -> tuple[int, str]:
    kind = item.get("kind", "")
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), str(item["metadata"]["name"]))


def _node(item: Object, by_owner: dict[str, list[Object]]) -> Node:
    kind = str(item.get("kind", ""))
    state, message, good = _JUDGES.get(kind, _named)(item)
    children = _nodes(by_owner.get(item["metadata"].get("uid") or "-", []), by_owner)
    if kind == "Pod":
        children = tuple(Node(*each) for each in container_nodes(item))
    if "deletionTimestamp" in item["metadata"]:
        state, good = "Terminating", None
    return Node(kind, str(item["metadata"]["name"]), state, message, good, children)


Judged: TypeAlias = tuple[str, str, bool | None]
"""State, message, and whether that is good."""


def _named(item: Object) -> Judged:
    """For kinds of which there is nothing to say."""
    del item
    return "", "", None


def _replicas(item: Object) -> Judged:
    wanted, status = item.get("spec", {}).get("replicas", 1), item.get("status", {})
    ready = status.get("readyReplicas", 0)
    failed = next(
        (each.get("message", "") for each in status.get("conditions", []) if each.get("type") == "ReplicaFailure"), ""
    )
    return f"{ready}/{wanted} ready", failed, ready >= wanted and not failed


def _pod(item: Object) -> Judged:
    state, message = pod_state(item)
    node = item.get("spec", {}).get("nodeName", "")
    return f"{state}{f' on {node}' if node else ''}", message, is_ready(item) or state == "Succeeded"


def _service(item: Object) -> Judged:
    spec = item.get("spec", {})
    ports = ", ".join(f"{port.get('name', '')} {port.get('port', '')}".strip() for port in spec.get("ports", []))
    kind = "headless" if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP")
    return f"{kind}: {ports}", "", None


def _autoscaler(item: Object) -> Judged:
    spec, status = item.get("spec", {}), item.get("status", {})
    limits = [each for each in status.get("conditions", []) if each.get("type") == "ScalingActive"]
    active = next((each.get("status") == "True" for each in limits), None)
    why = next((each.get("message", "") for each in limits if each.get("status") != "True"), "")
    now = f"{status.get('currentReplicas', 0)} now, {status.get('desiredReplicas', 0)} wanted"
    return f"{spec.get('minReplicas', 1)} to {spec.get('maxReplicas', 1)}, {now}", why, active


def _claim(item: Object) -> Judged:
    status = item.get("status", {})
    size = status.get("capacity", {}).get("storage", "")
    phase = str(status.get("phase", "Pending"))
    return f"{phase}{f' {size}' if size else ''}", "", phase == "Bound"


def _job(item: Object) -> Judged:
    status = item.get("status", {})
    ended = {
        each.get("type"): each.get("message", "")
        for each in status.get("conditions", [])
        if each.get("status") == "True"
    }
    if "Failed" in ended:
        return "Failed", ended["Failed"], False
    return ("Complete", "", True) if "Complete" in ended else (f"{status.get('active', 0)} at work", "", None)


def _budget(item: Object) -> Judged:
    return f"{item.get('status', {}).get('disruptionsAllowed', 0)} may be disrupted", "", None


def _policy(item: Object) -> Judged:
    spec = item.get("spec", {})
    parts = [f"{len(spec.get(kind.lower(), []))} rules for {kind}" for kind in spec.get("policyTypes", [])]
    return ", ".join(parts), "", None


def _revision(item: Object) -> Judged:
    return f"revision {item.get('revision', '')}", "", None


_JUDGES: dict[str, Callable[[Object], Judged]] = {
    "Deployment": _replicas,
    "ReplicaSet": _replicas,
    "Pod": _pod,
    "Service": _service,
    "HorizontalPodAutoscaler": _autoscaler,
    "PersistentVolumeClaim": _claim,
    "Job": _job,
    "PodDisruptionBudget": _budget,
    "NetworkPolicy": _policy,
    "ControllerRevision": _revision,
}
