"""Facts about a deployment's pods that several conditions need, derived once.

Pure. Input: an ObservedState, and what blocked its children. Output: the Assessment from which every condition and the
rest of the status are derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from triton_operator.api.conditions import AVAILABLE, READY, TERMINAL, Reason
from triton_operator.api.rollout import Strategy
from triton_operator.api.status import Condition, RolloutStatus, Truth
from triton_operator.cluster.observed import DeploymentState, Pod
from triton_operator.reconcile.cache_progress import diagnose_cache
from triton_operator.reconcile.container_ends import Diagnosis
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.issuance import diagnose_certificate
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pod_failures import diagnose, judge_eviction, node_lost
from triton_operator.reconcile.pods import ended_at, is_loaded, is_over, is_ready
from triton_operator.reconcile.replicas import desired_replicas
from triton_operator.reconcile.rollout import find_no_room
from triton_operator.reconcile.rollout_status import derive_rollout
from triton_operator.reconcile.times import parse_time
from triton_operator.reconcile.variants import Variant, find_variants
from triton_operator.resources.revision import RevisionSummary

EVICTION_REPORTED_FOR = timedelta(minutes=5)
"""How long the failure of a pod is reported while its replacement starts, which may fail in the same way."""


_WAITS_FOR_NODE = frozenset({Reason.INSUFFICIENT_GPU, Reason.UNSCHEDULABLE})


class Assessment(NamedTuple):
    """Facts that several conditions need.

    `pods` are those of the current revision that are not being deleted; `diagnoses` is what is wrong with them, the
    most important first. `cache_failure` is what prevents the cache from being filled, `certificate_failure` what is
    wrong with the Certificate. `differing_models` are the models of which these pods have different content. `rollout`
    is None if no pod of an older template is left. `makes_room`: an old pod is about to end so that a new one can
    start, which is not a failure.
    """

    observed: ObservedState
    blocked: Blocked | None
    revision: RevisionSummary | None
    state: DeploymentState | None
    desired_replicas: int
    pods: tuple[Pod, ...]
    diagnoses: tuple[Diagnosis, ...]
    cache_failure: Diagnosis | None = None
    certificate_failure: Diagnosis | None = None
    differing_models: Mapping[str, tuple[Variant, ...]] = MappingProxyType({})
    rollout: RolloutStatus | None = None
    makes_room: bool = False

    @property
    def ready_pods(self) -> int:
        """Pods of the current revision that the kubelet reports as ready."""
        return sum(is_ready(pod) for pod in self.pods)

    @property
    def loaded_pods(self) -> int:
        """Pods of the current revision in which Triton has loaded every model, ready or not."""
        return sum(is_ready(pod) or (is_loaded(pod) and not node_lost(pod)) for pod in self.pods)

    @property
    def older_serving(self) -> int:
        """Replicas of older revisions that serve."""
        return max((self.state.available_replicas if self.state else 0) - self.ready_pods, 0)

    @property
    def terminating_replicas(self) -> int:
        """Pods that still exist although none is desired; pods that are being deleted still hold their GPUs."""
        ending = sum(pod.deleting and not is_over(pod) for pod in self.observed.pods)
        return ending + (self.state.current_replicas if self.state else 0)

    @property
    def is_scaled_down(self) -> bool:
        """Whether the Deployment, if there is one, has observed that no pod is desired."""
        state = self.state
        return state is None or (state.replicas == 0 and state.observed_generation >= state.generation)

    @property
    def is_served(self) -> bool:
        """Whether every desired replica runs the current revision and is ready, and no older one is left."""
        state = self.state
        return (
            state is not None
            and state.observed_generation >= state.generation
            and state.replicas == self.desired_replicas
            and state.updated_replicas == state.current_replicas == state.ready_replicas == self.desired_replicas
            and not self.diagnoses
        )

    @property
    def was_serving(self) -> bool:
        """Whether as many replicas of this generation served before, so that pods which are not ready have failed."""
        previous, ready = self.observed.status, self._previously(READY)
        if previous is None or ready is None:
            return False
        return ready.observed_generation == self.observed.deployment.metadata.generation and (
            ready.reason in {Reason.PODS_NOT_READY, Reason.REPLICAS_DIFFER}
            or (ready.status is Truth.TRUE and previous.ready_replicas >= self.desired_replicas)
        )

    @property
    def is_replaced_in_place(self) -> bool:
        """Whether nothing serves only because the last old replica had to end before a new one can start."""
        available = self._previously(AVAILABLE)
        if available is None or not (self.desired_replicas > 0 and self.state):
            return False
        # The strategy Auto returns to its start when the last old pod is gone, before the new one serves.
        has_begun = available.reason == Reason.REPLACING_IN_PLACE
        return (
            (has_begun or (self.state.replaces_in_place and available.status is Truth.TRUE))
            and not (self.blocked or self.was_serving)
            and all(diagnosis.reason in _WAITS_FOR_NODE for diagnosis in self.diagnoses)
        )

    def _previously(self, kind: str) -> Condition | None:
        previous = self.observed.status
        return next((each for each in previous.conditions if each.type == kind), None) if previous else None


def assess(observed: ObservedState, blocked: Blocked | None, revision: RevisionSummary | None) -> Assessment:
    """Derive the facts."""
    deployment = observed.deployment
    current = tuple(pod for pod in observed.pods if _is_current(pod, revision) and not pod.deleting)
    # An evicted pod exists for days alongside its replacement, and counts only while there is no other pod.
    pods = tuple(pod for pod in current if not is_over(pod)) or current
    desired = desired_replicas(deployment, observed.deployment_state, observed.other_autoscalers)
    makes_room = _makes_room(observed, revision)
    return Assessment(
        observed=observed,
        blocked=blocked,
        revision=revision,
        state=observed.deployment_state,
        desired_replicas=desired,
        pods=pods,
        diagnoses=_diagnose(observed, current, pods, makes_room=makes_room),
        cache_failure=diagnose_cache(observed.caching, observed) if observed.caching else None,
        certificate_failure=diagnose_certificate(observed, revision),
        differing_models=find_variants(deployment, pods),
        rollout=derive_rollout(observed, revision),
        makes_room=makes_room,
    )


def _makes_room(observed: ObservedState, revision: RevisionSummary | None) -> bool:
    """Whether an old pod is about to be stopped or has just ended; every case is over after a bounded time."""
    state = observed.deployment_state
    if state is None or revision is None:
        return False
    is_ending = any(pod.deleting and not is_over(pod) for pod in observed.pods)
    if not state.replaces_in_place:
        if observed.deployment.spec.rollout.strategy is not Strategy.AUTO:
            return False
        no_room = find_no_room(observed, revision)
        return is_ending or (no_room is not None and not no_room.why_not)
    old = any(pod.node and pod.revision != revision.template_hash and not is_over(pod) for pod in observed.pods)
    running = sum(not (pod.deleting or is_over(pod)) for pod in observed.pods)
    has_reacted = state.observed_generation >= state.generation
    return (
        is_ending
        or (old and running > state.replicas)
        or not has_reacted
        or (state.current_replicas < state.replicas and observed.room.is_refilling(observed.now))
    )


def _diagnose(
    observed: ObservedState, current: tuple[Pod, ...], pods: tuple[Pod, ...], *, makes_room: bool
) -> tuple[Diagnosis, ...]:
    """Failures that need a person come first, even if another replica only waits for a node.

    When a replica is replaced in place, the new pod cannot be scheduled until the old one has ended; this is not a
    failure.
    """
    spec = observed.deployment.spec
    unready = [pod for pod in pods if not is_ready(pod)]
    found = [each for pod in unready for each in diagnose(pod, observed.pod_events.get(pod.uid, ()), spec)]
    if makes_room:
        found = [diagnosis for diagnosis in found if diagnosis.reason not in _WAITS_FOR_NODE]
    if unready and not found:
        over = [judge_eviction(pod, spec) for pod in current if report_time_left(pod, observed.now)]
        found = [diagnosis for diagnosis in over if diagnosis]
    return tuple(sorted(found, key=lambda diagnosis: diagnosis.reason not in TERMINAL))


def report_time_left(pod: Pod, now: datetime) -> timedelta:
    """For how long the end of a pod is still reported; zero for a pod that has not ended."""
    end = parse_time(ended_at(pod)) if is_over(pod) else None
    return max(EVICTION_REPORTED_FOR - (now - end), timedelta(0)) if end else timedelta(0)


def _is_current(pod: Pod, revision: RevisionSummary | None) -> bool:
    return revision is not None and pod.revision == revision.template_hash
