"""What is going on with a deployment's pods, worked out once for all conditions.

Pure: an ObservedState goes in, and what may have blocked its children; every condition and the rest of the status are
judged from the Assessment that comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from triton_operator.api.conditions import AVAILABLE, READY, TERMINAL, Reason
from triton_operator.api.status import Condition, Truth
from triton_operator.cluster.observed import DeploymentState, Pod
from triton_operator.reconcile.cache_progress import diagnose_cache
from triton_operator.reconcile.caching import Caching, decide_caching
from triton_operator.reconcile.container_ends import Diagnosis
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pod_failures import diagnose, is_loaded, judge_eviction, node_lost
from triton_operator.reconcile.refusals import Blocked
from triton_operator.reconcile.replicas import wanted_replicas
from triton_operator.reconcile.retry_hint import moment
from triton_operator.reconcile.variants import Variant, find_variants
from triton_operator.resources.deployment import replaces_in_place
from triton_operator.resources.revision import RevisionSummary

EVICTION_IS_NEWS = timedelta(minutes=5)
"""How long the end of a pod is told while its replacement comes up: the next one may end in the same way."""


_WAITS_FOR_A_NODE = frozenset({Reason.INSUFFICIENT_GPU, Reason.UNSCHEDULABLE})


class Assessment(NamedTuple):
    """Facts that several conditions need.

    `pods` are those of the current revision that are not being deleted; `diagnoses` what is wrong with them, the one to
    be told first in front. `caching` is the cache that the spec asks for, `cache_failure` what keeps it from being
    filled. `mixed` are the models of which these pods have different contents.
    """

    observation: ObservedState
    blocked: Blocked | None
    revision: RevisionSummary | None
    state: DeploymentState | None
    wanted: int
    pods: tuple[Pod, ...]
    diagnoses: tuple[Diagnosis, ...]
    caching: Caching | None = None
    cache_failure: Diagnosis | None = None
    mixed: Mapping[str, tuple[Variant, ...]] = MappingProxyType({})

    @property
    def ready_pods(self) -> int:
        """Pods of the current revision that the kubelet calls ready."""
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
    def left_to_end(self) -> int:
        """Pods that run while none is wanted, those included that are being deleted: they still hold their GPUs."""
        ending = sum(pod.deleting and not is_over(pod) for pod in self.observation.pods)
        return ending + (self.state.current_replicas if self.state else 0)

    @property
    def is_scaled_down(self) -> bool:
        """Whether the Deployment, if there is one, knows that no pod is wanted."""
        state = self.state
        return state is None or (state.replicas == 0 and state.observed_generation >= state.generation)

    @property
    def is_served(self) -> bool:
        """Every wanted replica runs the current revision and is ready, and nothing older is left."""
        state = self.state
        return (
            state is not None
            and state.observed_generation >= state.generation
            and state.replicas == self.wanted
            and state.updated_replicas == state.current_replicas == state.ready_replicas == self.wanted
            and not self.diagnoses
        )

    @property
    def was_serving(self) -> bool:
        """Whether as many replicas of this very generation served before: then pods that are not ready are news."""
        previous, ready = self.observation.previous, self._previously(READY)
        if previous is None or ready is None:
            return False
        return ready.observed_generation == self.observation.deployment.metadata.generation and (
            ready.reason in {Reason.PODS_NOT_READY, Reason.REPLICAS_DIFFER}
            or (ready.status is Truth.TRUE and previous.ready_replicas >= self.wanted)
        )

    @property
    def is_replaced_in_place(self) -> bool:
        """Whether nothing serves only because the last old replica had to go before a new one can come up."""
        available = self._previously(AVAILABLE)
        return (
            replaces_in_place(self.observation.deployment.spec)
            and self.wanted > 0
            and not (self.blocked or self.was_serving)
            and all(diagnosis.reason in _WAITS_FOR_A_NODE for diagnosis in self.diagnoses)
            and available is not None
            and (available.status is Truth.TRUE or available.reason == Reason.REPLACING_IN_PLACE)
        )

    def _previously(self, kind: str) -> Condition | None:
        previous = self.observation.previous
        return next((each for each in previous.conditions if each.type == kind), None) if previous else None


def assess(observation: ObservedState, blocked: Blocked | None, revision: RevisionSummary | None) -> Assessment:
    """Work out the facts."""
    deployment = observation.deployment
    current = tuple(pod for pod in observation.pods if _is_current(pod, revision) and not pod.deleting)
    # An evicted pod stays for days beside its replacement; it counts only while there is nothing else.
    pods = tuple(pod for pod in current if not is_over(pod)) or current
    caching = decide_caching(observation)
    return Assessment(
        observation=observation,
        blocked=blocked,
        revision=revision,
        state=observation.deployment_state,
        wanted=wanted_replicas(deployment, observation.deployment_state),
        pods=pods,
        diagnoses=_diagnose(observation, current, pods),
        caching=caching,
        cache_failure=diagnose_cache(caching, observation) if caching else None,
        mixed=find_variants(deployment, pods),
    )


def _diagnose(observation: ObservedState, current: tuple[Pod, ...], pods: tuple[Pod, ...]) -> tuple[Diagnosis, ...]:
    """What needs a person goes first: another replica that waits for a node is no reason to wait.

    That the new pod finds no room while the old one still ends is how a replacement in place goes, and no failure.
    """
    spec = observation.deployment.spec
    room_comes = replaces_in_place(spec) and any(pod.deleting for pod in observation.pods)
    unready = [pod for pod in pods if not is_ready(pod)]
    found = [each for pod in unready for each in diagnose(pod, observation.pod_events.get(pod.uid, ()), spec)]
    if room_comes:
        found = [diagnosis for diagnosis in found if diagnosis.reason not in _WAITS_FOR_A_NODE]
    if unready and not found:
        over = [judge_eviction(pod, spec) for pod in current if time_left(pod, observation.now)]
        found = [diagnosis for diagnosis in over if diagnosis]
    return tuple(sorted(found, key=lambda diagnosis: diagnosis.reason not in TERMINAL))


def time_left(pod: Pod, now: datetime) -> timedelta:
    """How long the end of a pod is news still; nothing for one that is not over."""
    end = moment(ended_at(pod)) if is_over(pod) else None
    return max(EVICTION_IS_NEWS - (now - end), timedelta(0)) if end else timedelta(0)


def ended_at(pod: Pod) -> str:
    """When the last container of a pod that is over ended; when the pod was made, if none had begun."""
    ends = [container.terminated.finished_at for container in pod.containers if container.terminated]
    return max(ends, default="") or pod.created_at


def is_ready(pod: Pod) -> bool:
    """The kubelet's own judgement: Triton answered its strict readiness probe."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.conditions)


def is_over(pod: Pod) -> bool:
    """Whether the kubelet will never run this pod again."""
    return pod.phase in {"Failed", "Succeeded"}


def _is_current(pod: Pod, revision: RevisionSummary | None) -> bool:
    return revision is not None and pod.revision == revision.template_hash
