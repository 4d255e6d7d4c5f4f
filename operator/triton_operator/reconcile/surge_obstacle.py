"""Why a new pod cannot start next to the old ones: no node, or no quota, has room for one more.

Pure. Input: the messages of the scheduler and of a ResourceQuota. Output: a SurgeObstacle, which names the missing
resources as they are compared between two pod templates.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.cluster.observed import DeploymentState, ObservedCondition, Pod
from triton_operator.resources.pod_summary import QuantityKind

_INSUFFICIENT = re.compile(r"Insufficient ([\w./-]*\w)")
NO_DEVICES = "cannot allocate all claims"
"""In the scheduler's message if a node has too few free devices for the claims of a pod."""
_TOO_MANY_PODS = "Too many pods"
_TAKEN = re.compile(
    r"pod anti-affinity rules|existing pods anti-affinity rules|pod topology spread constraints(?! \()|"
    r"free ports for the requested pod ports|ReadWriteOncePod access mode"
)
"""Found in the scheduler's message if nodes that would fit are taken by other pods."""
_PREEMPTION = re.compile(r",? *preemption: .*", re.DOTALL)
"""The end of the scheduler's message, which repeats causes."""
_QUOTA = re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+?), used: ")
_QUOTA_RESOURCE = re.compile(r"(?:^|,)([^=,]+)=([^=,]+)")
_COUNTS = frozenset({"pods", "count/pods"})


class MissingResource(NamedTuple):
    """A resource of which there is too little; `amount` is what a quota has rejected, "" if it is not known."""

    resource: str
    kind: QuantityKind = "requests"
    amount: str = ""


class SurgeObstacle(NamedTuple):
    """`cause` is for messages. `missing` are the resources; none if only the number of pods is the limit.

    `pod` is the pod that cannot be scheduled, None if it could not be created.
    """

    cause: str
    missing: tuple[MissingResource, ...] = ()
    pod: Pod | None = None
    message: str = ""


def unschedulable(pod: Pod) -> SurgeObstacle | None:
    """What prevents the scheduler from placing the pod, if the termination of another pod may help."""
    for condition in pod.conditions:
        if condition.type == "PodScheduled" and condition.status == "False" and not (pod.node or pod.deleting):
            return _judge_nodes(pod, condition.message)
    return None


def exceeded_quota(state: DeploymentState) -> SurgeObstacle | None:
    """The quota that does not admit the Deployment's next pod."""
    for condition in state.conditions:
        if found := _exceeded(condition):
            requested = _QUOTA_RESOURCE.findall(found["requested"])
            cause = f"no room for {', '.join(name for name, _ in requested)} in the ResourceQuota {found['name']}"
            missing = tuple(_missing_in_quota(*each) for each in requested if each[0] not in _COUNTS)
            return SurgeObstacle(cause, missing, message=condition.message)
    return None


def _exceeded(condition: ObservedCondition) -> re.Match[str] | None:
    if condition.type != "ReplicaFailure" or condition.status != "True":
        return None
    return _QUOTA.search(condition.message)


def _judge_nodes(pod: Pod, message: str) -> SurgeObstacle | None:
    causes = _PREEMPTION.sub("", message)
    names = tuple(dict.fromkeys(_INSUFFICIENT.findall(causes)))
    if names:
        return SurgeObstacle(f"no free {', '.join(names)}", tuple(map(MissingResource, names)), pod, causes)
    if NO_DEVICES in causes:
        return SurgeObstacle("no free devices for the resource claims", (), pod, causes)
    if _TOO_MANY_PODS in causes:
        return SurgeObstacle("no node has room for another pod", (), pod, causes)
    if _TAKEN.search(causes):
        return SurgeObstacle("all nodes that fit are taken by other pods", (), pod, causes)
    return None


def _missing_in_quota(name: str, amount: str) -> MissingResource:
    """`limits.memory`, `requests.cpu` and `cpu`, which is short for it."""
    kind, _, resource = name.partition(".")
    if kind == "limits":
        return MissingResource(resource, "limits", amount)
    return MissingResource(resource if kind == "requests" else name, amount=amount)
