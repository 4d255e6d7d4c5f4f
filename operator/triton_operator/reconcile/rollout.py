"""Whether the strategy Auto replaces pods in place: an old pod stops before a new one starts.

Pure. A rollout begins with a new pod next to the old ones. If there is no room for it, the operator changes the
strategy of the Deployment for the rest of this rollout. The Deployment's own strategy is the memory of that, so it does
not alternate when the first old pod has made room. An old pod is stopped only if its place suffices for its successor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.api.rollout import Strategy
from triton_operator.cluster.observed import Pod
from triton_operator.reconcile.history import past_revisions
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pods import is_over
from triton_operator.reconcile.surge_obstacle import Obstacle, exceeded_quota, unschedulable
from triton_operator.resources.pod_summary import PodSummary

_UNUSABLE = "were unschedulable"
"""In the scheduler's message if nodes are cordoned. If one of them runs an old pod, its place cannot be used again."""
_OTHER_VOLUME = "volume node affinity conflict"


class NoRoom(NamedTuple):
    """What prevents a new pod from starting next to the old ones; `why_not` is why they are not stopped first."""

    cause: str
    why_not: str = ""


def decide_in_place(observed: ObservedState, current: str) -> bool:
    """Whether the Deployment should replace pods in place now; `current` is the hash of the template to apply."""
    state = observed.deployment_state
    if state is None or observed.deployment.spec.rollout.strategy is not Strategy.AUTO:
        return False
    if state.replaces_in_place:
        return is_unfinished(observed, current)
    no_room = find_no_room(observed, current)
    return no_room is not None and not no_room.why_not


def is_unfinished(observed: ObservedState, current: str) -> bool:
    """Whether pods of older templates are left, including those that are being deleted.

    `kubectl rollout restart` changes the template without a new revision of ours.
    """
    state = observed.deployment_state
    pods = [pod for pod in observed.pods if not is_over(pod)]
    counted = state is not None and state.updated_replicas < state.current_replicas
    return counted or any(pod.revision != current for pod in pods) or len({_template(pod) for pod in pods}) > 1


def find_no_room(observed: ObservedState, current: str) -> NoRoom | None:
    """What prevents a pod of the current template from starting while older ones run; None if nothing does."""
    for obstacle, old in _obstacles(observed, current):
        if old:
            return NoRoom(obstacle.cause, _why_not(obstacle, current, old, observed))
    return None


def _obstacles(observed: ObservedState, current: str) -> Iterator[tuple[Obstacle, list[Pod]]]:
    """Each with the older pods."""
    running = [pod for pod in observed.pods if not (pod.deleting or is_over(pod))]
    for pod in running:
        if pod.revision == current and (obstacle := unschedulable(pod)):
            yield obstacle, [each for each in running if _template(each) != _template(pod)]
    state = observed.deployment_state
    if state is None or (state.observed_generation < state.generation and not state.replaces_in_place):
        return  # The condition may be about an earlier template. In place, it is only the cause for the status.
    if state.updated_replicas < min(state.replicas, state.current_replicas) and (found := exceeded_quota(state)):
        # Pods of a template that `kubectl rollout restart` has changed are of the current revision, too.
        yield found, [each for each in running if each.revision != current] or running


def _why_not(obstacle: Obstacle, current: str, old: list[Pod], observed: ObservedState) -> str:
    """Why the place of an old pod does not suffice, "" if it does."""
    known = {past.summary.template_hash: past.summary.template.spec for past in past_revisions(observed)}
    new, others = known.get(current), [known.get(pod.revision) for pod in old]
    if new is None or None in others:
        return "the revision of a pod is not known"
    if _UNUSABLE in obstacle.message:
        return "a node is cordoned, and a stopped pod could not be replaced there"
    if obstacle.pod and _OTHER_VOLUME in obstacle.message and {pod.claims for pod in old} != {obstacle.pod.claims}:
        return "the new pods use another volume"
    return next((why for other in others if other and (why := _does_not_fit(new, other, obstacle))), "")


def _does_not_fit(new: PodSummary, old: PodSummary, obstacle: Obstacle) -> str:
    if not new.can_run_where(old):
        return "the rules about their nodes have changed"
    more = [each.resource for each in obstacle.missing if not new.needs_no_more_than(old, each.resource, each.kind)]
    return f"a new pod needs more {', '.join(more)} than an old one releases" if more else ""


def _template(pod: Pod) -> tuple[str, str]:
    """Identifies the ReplicaSet of a pod."""
    return pod.revision, pod.labels.get("pod-template-hash", "")
