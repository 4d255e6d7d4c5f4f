"""Whether the strategy Auto replaces pods in place: an old pod stops before a new one starts.

Pure. A rollout begins with a new pod next to the old ones. If there has been no room for it for a while, the operator
changes the strategy of the Deployment for the rest of this rollout. The Deployment's own strategy, together with
`status.rollout`, is the memory of that, so it does not alternate when the first old pod has made room. An old pod is
stopped only if a new pod can run with what any old pod releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from triton_operator.api.rollout import Strategy
from triton_operator.api.status import RolloutMethod
from triton_operator.cluster.observed import Pod
from triton_operator.reconcile.history import past_revisions
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pods import is_over
from triton_operator.reconcile.room import NOTHING_SEEN, Room
from triton_operator.reconcile.surge_obstacle import SurgeObstacle, exceeded_quota, unschedulable
from triton_operator.resources.pod_summary import PodSummary
from triton_operator.resources.revision import RevisionSummary

_UNUSABLE = "were unschedulable"
"""In the scheduler's message if nodes are cordoned. An old pod on one of them could not be replaced there."""
_REPLICA_SET = "pod-template-hash"


class NoRoom(NamedTuple):
    """What prevents a new pod from starting next to the old ones; `why_not` is why they are not stopped first."""

    cause: str
    why_not: str = ""


def decide_in_place(observed: ObservedState, current: RevisionSummary | None) -> bool:
    """Whether the Deployment should replace pods in place now; `current` is the revision to apply."""
    state, rollout = observed.deployment_state, observed.deployment.spec.rollout
    if state is None or current is None or rollout.strategy is not Strategy.AUTO:
        return False
    if rollout.paused:
        return _has_begun(observed)  # Nothing changes while it is paused.
    no_room = find_no_room(observed, current)
    if no_room and no_room.why_not:
        return False
    if _has_begun(observed):
        return is_unfinished(observed, current.template_hash) and not _why_released_is_too_little(
            observed, current, _placed(observed)
        )
    return no_room is not None and observed.room.lacks(current.template_hash, observed.now)


def next_room(observed: ObservedState, current: RevisionSummary | None) -> Room:
    """What to remember, after this pass, about the room for new pods."""
    if current is None or observed.deployment.spec.rollout.strategy is not Strategy.AUTO:
        return NOTHING_SEEN
    has_begun = _has_begun(observed)
    return observed.room.next(
        current.template_hash,
        observed.now,
        is_lacking=not has_begun and find_no_room(observed, current) is not None,
        is_ending=has_begun and any(pod.deleting for pod in observed.pods),
    )


def is_unfinished(observed: ObservedState, current: str) -> bool:
    """Whether pods of older templates are left, including those that are being deleted.

    In place, the last old pod terminates before its successor exists. `kubectl rollout restart` changes the template
    without a new revision of the operator.
    """
    state = observed.deployment_state
    pods = [pod for pod in observed.pods if not is_over(pod)]
    is_counted = state is not None and state.updated_replicas < state.current_replicas
    if state and _has_begun(observed) and observed.room.is_refilling(observed.now):
        is_counted = state.updated_replicas < max(state.current_replicas, state.replicas)
    return is_counted or any(pod.revision != current for pod in pods) or len(_replica_sets(pods)) > 1


def find_no_room(observed: ObservedState, current: RevisionSummary) -> NoRoom | None:
    """What prevents a pod of the current template from starting while older ones run; None if nothing does.

    While a pod of this deployment is terminating on a node, that pod may use the resources that are missing.
    """
    if observed.deployment.spec.rollout.paused or any(pod.deleting and pod.node for pod in observed.pods):
        return None
    for obstacle, old in _obstacles(observed, current):
        if old:
            return NoRoom(obstacle.cause, _why_not(obstacle, observed, current, old))
    return None


def _has_begun(observed: ObservedState) -> bool:
    """Whether the strategy Auto is replacing pods in place; for other strategies, the status has no message."""
    state, known = observed.deployment_state, observed.status.rollout if observed.status else None
    is_live = state is not None and state.replaces_in_place
    return is_live and known is not None and known.method is RolloutMethod.IN_PLACE and bool(known.message)


def _placed(observed: ObservedState) -> list[Pod]:
    """The pods that are on a node and are not terminating."""
    return [pod for pod in observed.pods if pod.node and not (pod.deleting or is_over(pod))]


def _obstacles(observed: ObservedState, current: RevisionSummary) -> Iterator[tuple[SurgeObstacle, list[Pod]]]:
    """Each with the older pods that are on a node."""
    placed = _placed(observed)
    for pod in observed.pods:
        if pod.revision == current.template_hash and not is_over(pod) and (obstacle := unschedulable(pod)):
            yield obstacle, [each for each in placed if _template(each) != _template(pod)]
    state = observed.deployment_state
    if state is None or (state.observed_generation < state.generation and not state.replaces_in_place):
        return  # The condition may be about an earlier template. In place, it is only the cause for the status.
    if state.updated_replicas < min(state.replicas, state.current_replicas) and (found := exceeded_quota(state)):
        # Pods of a template that `kubectl rollout restart` has changed are of the current revision, too.
        yield found, [each for each in placed if each.revision != current.template_hash] or placed


def _why_not(obstacle: SurgeObstacle, observed: ObservedState, current: RevisionSummary, old: list[Pod]) -> str:
    """Why no old pod is stopped for the new one, "" if one is."""
    state = observed.deployment_state
    if not _has_begun(observed) and state and len(_placed(observed)) < state.replicas:
        # The Deployment controller counts the missing one as unavailable, and would stop no other.
        return "another replica has no node either, so such a rollout would not finish"
    if _UNUSABLE in obstacle.message:
        return "a node is cordoned, and a stopped pod could not be replaced there before kubectl uncordon"
    new = current.template.spec
    if any(not new.requests_exactly(each.resource, each.kind, each.amount) for each in obstacle.missing):
        return "the requests or limits of the pod that the quota rejected differ from the spec"
    return _why_released_is_too_little(observed, current, old)


def _why_released_is_too_little(observed: ObservedState, current: RevisionSummary, old: Iterable[Pod]) -> str:
    """Why a new pod may not run with what an old one releases; "" if it can, whichever pod stops."""
    known = {past.summary.template_hash: past.summary.template.spec for past in past_revisions(observed)}
    known[current.template_hash] = new = current.template.spec
    others = [known.get(revision) for revision in {pod.revision for pod in old}]
    if None in others:
        return "the revision of a pod is not known"
    return next((why for other in others if other and (why := _does_not_fit(new, other))), "")


def _does_not_fit(new: PodSummary, old: PodSummary) -> str:
    if not new.can_run_where(old):
        return "the rules about their nodes have changed"
    if new.claims != old.claims:
        return "the new pods use another volume"
    if new.resource_claims != old.resource_claims:
        return "the new pods claim other devices"
    more = new.needs_more_of(old)
    return f"a new pod needs more {', '.join(more)} than an old one releases" if more else ""


def _template(pod: Pod) -> tuple[str, str]:
    """Identifies the ReplicaSet of a pod."""
    return pod.revision, pod.labels.get(_REPLICA_SET, "")


def _replica_sets(pods: Iterable[Pod]) -> frozenset[str]:
    """A pod that somebody has taken out of its ReplicaSet has no such label."""
    return frozenset(name for pod in pods if (name := pod.labels.get(_REPLICA_SET, "")))
