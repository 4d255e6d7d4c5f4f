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
    Kind,
    Pod,
    PodEvent,
)
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.outlook import moment
from triton_operator.reconcile.store import ChildId, View

PENDING_GRACE = timedelta(seconds=5)
"""How long a pod may sit in ContainerCreating before its Events are read."""

LONGEST_LOOK = timedelta(seconds=60)
"""At least this often they are read again."""


class Observation(NamedTuple):
    """One deployment, its own children and pods, and what Events say about pods that hang."""

    deployment: ModelDeployment
    previous: Status | None
    owned: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]
    pod_events: Mapping[str, tuple[PodEvent, ...]]
    now: datetime

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


async def read_pod_events(cluster: Cluster, pods: tuple[Pod, ...], now: datetime) -> dict[str, tuple[PodEvent, ...]]:
    """Events of pods that hang: a missing volume or Secret shows nowhere else."""
    return {
        pod.uid: tuple(await cluster.pod_events(pod.namespace, pod.uid))
        for pod in pods
        if is_hanging(pod) and now - created(pod) >= PENDING_GRACE
    }


def is_hanging(pod: Pod) -> bool:
    """Scheduled, but no container has got anywhere and none says why."""
    if pod.deleting or not pod.node or pod.phase != "Pending":
        return False
    silent = {"", "ContainerCreating", "PodInitializing"}
    return all(
        not container.running and container.terminated is None and container.waiting_reason in silent
        for container in pod.containers
    )


def created(pod: Pod) -> datetime:
    """When the pod was made."""
    return moment(pod.created_at) or datetime.min.replace(tzinfo=UTC)


def selector(deployment: ModelDeployment) -> str:
    """Label selector of the serving pods, as `/scale` and autoscalers want it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(deployment.metadata.name).items()))
