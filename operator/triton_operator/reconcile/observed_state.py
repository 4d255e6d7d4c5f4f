"""Everything one pass judges, gathered into one frozen value.

The reconciler fills it from the store and, for pods that hang without saying why, from their Events; all later steps
are pure functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triton_operator.api.names import selector_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import Status
from triton_operator.cluster.observed import (
    AutoscalerState,
    Child,
    DeploymentState,
    JobState,
    Kind,
    Pod,
    PodEvent,
)
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.retry_hint import moment
from triton_operator.reconcile.store import ChildId, View

PENDING_GRACE = timedelta(seconds=5)
"""How long a pod may sit in ContainerCreating before its Events are read."""

LONGEST_LOOK = timedelta(seconds=60)
"""At least this often they are read again."""


class ObservedState(NamedTuple):
    """One deployment, its own children, its serving pods and those of its Jobs, and Events about what hangs."""

    deployment: ModelDeployment
    previous: Status | None
    owned: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]
    pod_events: Mapping[str, tuple[PodEvent, ...]]
    now: datetime
    cache_pods: tuple[Pod, ...] = ()

    @property
    def deployment_child(self) -> Child | None:
        """The Deployment among the children."""
        return self.owned.get((Kind.DEPLOYMENT, self.deployment.metadata.name))

    @property
    def deployment_state(self) -> DeploymentState | None:
        """What the Deployment reports."""
        child = self.deployment_child
        return child.state if child and isinstance(child.state, DeploymentState) else None

    @property
    def autoscaler_state(self) -> AutoscalerState | None:
        """What the autoscaler reports."""
        child = self.owned.get((Kind.AUTOSCALER, self.deployment.metadata.name))
        return child.state if child and isinstance(child.state, AutoscalerState) else None


def own(view: View, deployment: ModelDeployment, applied_uids: frozenset[str]) -> dict[ChildId, Child]:
    """Children that are ours: by their owner, or, when somebody removed the ownerReference, because we applied them.

    What else bears our labels is left alone: it is a deleted namesake's, or somebody's who likes our labels.
    """
    uid = deployment.metadata.uid
    return {
        child_id: child
        for child_id, child in view.children.items()
        if child.owner_uid == uid or (not child.owner_uid and child.uid in applied_uids)
    }


async def read_events(cluster: Cluster, observation: ObservedState) -> dict[str, tuple[PodEvent, ...]]:
    """Events of what hangs: a missing volume or Secret, or a Job that may not make a pod, shows nowhere else."""
    namespace = observation.deployment.metadata.namespace
    return {
        uid: tuple(await cluster.pod_events(namespace, uid))
        for uid, since in hanging(observation).items()
        if observation.now - since >= PENDING_GRACE
    }


def hanging(observation: ObservedState) -> dict[str, datetime]:
    """Uids of pods that hang and of Jobs that have no pod, and since when they are there."""
    all_pods = (*observation.pods, *observation.cache_pods)
    pods = {pod.uid: created(pod) for pod in all_pods if is_hanging(pod)}
    if observation.deployment.spec.image_pull_secrets:  # That one of them is missing stands in an Event alone.
        pods |= {pod.uid: created(pod) for pod in all_pods if not pod.deleting and waits_for_an_image(pod)}
    with_pods = {pod.job for pod in observation.cache_pods}
    jobs = {
        child.uid: begun
        for child in observation.owned.values()
        if isinstance(child.state, JobState) and child.name not in with_pods and not child.state.is_over
        if (begun := moment(child.state.started_at))
    }
    return pods | jobs


def is_hanging(pod: Pod) -> bool:
    """Scheduled, but no container has got anywhere and none says why."""
    if pod.deleting or not pod.node or pod.phase != "Pending":
        return False
    silent = {"", "ContainerCreating", "PodInitializing"}
    return all(
        not container.running and container.terminated is None and container.waiting_reason in silent
        for container in pod.containers
    )


def waits_for_an_image(pod: Pod) -> bool:
    """Whether the kubelet cannot pull an image for some container."""
    return any(container.waiting_reason in {"ErrImagePull", "ImagePullBackOff"} for container in pod.containers)


def created(pod: Pod) -> datetime:
    """When the pod was made."""
    return moment(pod.created_at) or datetime.min.replace(tzinfo=UTC)


def selector(deployment: ModelDeployment) -> str:
    """Label selector of the serving pods, as `/scale` and autoscalers want it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(deployment.metadata.name).items()))
