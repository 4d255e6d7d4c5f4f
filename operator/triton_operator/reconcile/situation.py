"""What is going on with a deployment's pods, worked out once for all conditions.

Pure: an Observation goes in, and what may have blocked its children; every condition and the rest of the status are
judged from the Situation that comes out.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.conditions import READY, Reason
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import DeploymentState, Pod
from triton_operator.reconcile.execute import Blocked
from triton_operator.reconcile.observation import Observation
from triton_operator.reconcile.pod_failures import Diagnosis, diagnose
from triton_operator.reconcile.replicas import wanted_replicas
from triton_operator.resources.revision import RevisionSummary


class Situation(NamedTuple):
    """Facts that several conditions need. `pods` are those of the current revision that are not being deleted."""

    observation: Observation
    blocked: Blocked | None
    revision: RevisionSummary | None
    state: DeploymentState | None
    wanted: int
    pods: tuple[Pod, ...]
    diagnoses: tuple[Diagnosis, ...]

    @property
    def ready_pods(self) -> int:
        """Pods of the current revision that the kubelet calls ready."""
        return sum(is_ready(pod) for pod in self.pods)

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
        previous = self.observation.previous
        if previous is None:
            return False
        generation = self.observation.deployment.metadata.generation
        return any(
            condition.type == READY
            and condition.observed_generation == generation
            and (
                condition.reason == Reason.PODS_NOT_READY
                or (condition.status is Truth.TRUE and previous.ready_replicas >= self.wanted)
            )
            for condition in previous.conditions
        )


def assess(observation: Observation, blocked: Blocked | None, revision: RevisionSummary | None) -> Situation:
    """Work out the facts."""
    deployment = observation.deployment
    current = tuple(pod for pod in observation.pods if _is_current(pod, revision) and not pod.deleting)
    # An evicted pod stays for days beside its replacement; it counts only while there is nothing else.
    pods = tuple(pod for pod in current if not is_over(pod)) or current
    gpu = deployment.spec.gpu
    found = (
        diagnose(pod, observation.pod_events.get(pod.uid, ()), gpu.resource_name if gpu else "")
        for pod in pods
        if not is_ready(pod)
    )
    return Situation(
        observation=observation,
        blocked=blocked,
        revision=revision,
        state=observation.deployment_state,
        wanted=wanted_replicas(deployment, observation.deployment_state),
        pods=pods,
        diagnoses=tuple(diagnosis for diagnosis in found if diagnosis),
    )


def is_ready(pod: Pod) -> bool:
    """The kubelet's own judgement: Triton answered its strict readiness probe."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.conditions)


def is_over(pod: Pod) -> bool:
    """Whether the kubelet will never run this pod again."""
    return pod.phase in {"Failed", "Succeeded"}


def _is_current(pod: Pod, revision: RevisionSummary | None) -> bool:
    return revision is not None and pod.revision == revision.template_hash
