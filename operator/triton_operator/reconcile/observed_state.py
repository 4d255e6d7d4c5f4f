"""Everything that one pass judges, collected in one frozen value.

`observe` fills it from the operator's cache, and `read_events` adds the Events of what is stuck without reporting why.
All later steps are pure functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from triton_operator.api.adoption import Adopt
from triton_operator.api.keda import keda_autoscaler_name
from triton_operator.api.names import CA_CONFIG_MAP, LABEL_TRACK, TRACK_CANARY, canary_name, selector_labels
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.api.rollout import Strategy
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.status import CanaryPhase, Rollback, Status
from triton_operator.cluster.exposure_facts import NO_FACTS, ExposureFacts
from triton_operator.cluster.object_cache import Snapshot
from triton_operator.cluster.observed import (
    AutoscalerState,
    Child,
    ChildId,
    DeploymentState,
    JobState,
    Kind,
    OtherAutoscaler,
    Pod,
    PodEvent,
)
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.caching import Caching, decide_caching
from triton_operator.reconcile.pods import created_at, is_stuck, waits_for_image
from triton_operator.reconcile.room import NOTHING_SEEN, Room
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.revision import Revision
from triton_operator.resources.settings import FetchDefaults

_SHARED = (Kind.CONFIG_MAP, CA_CONFIG_MAP)
"""Shared by all deployments; it is observed as a child only if somebody adds the operator's label."""

PENDING_GRACE = timedelta(seconds=5)
"""How long a pod may stay in ContainerCreating before its Events are read."""


class StandingRollback(NamedTuple):
    """A rollback in the cluster; `is_of_spec`: the spec is still the one whose revision failed.

    Otherwise, it lasts only until the revision of the new spec can be applied. `canary_failed`: a canary was aborted.
    """

    state: Rollback
    is_of_spec: bool
    canary_failed: bool = False


class StandingCanary(NamedTuple):
    """A canary that runs or is about to: the Deployment to apply, see `canary_decision`.

    `stable` is the name of the revision of the stable pods, "" if they change to that of the canary. `spec` is what the
    user requests, None if all pods are to run it. `revision` is that of the canary, None if it is not rendered yet, and
    `name` is that of its object. `in_place`: the canary serves while stable pods are replaced one by one.
    """

    phase: CanaryPhase
    stable: str
    spec: Spec | None
    name: str
    revision: Revision | None
    replicas: int
    step: int
    progress: str
    message: str = ""
    in_place: bool = False


class ObservedState(NamedTuple):
    """One deployment with its own children, its serving pods, those of its Jobs, and Events about what is stuck.

    `request_events` are about the pending CertificateRequest of cert-manager.
    `opening_policies` are the NetworkPolicies of others that select its pods and allow traffic,
    `other_autoscalers` scale the Deployment although the operator did not create them; None if it is unknown which,
    `network_probe` is the last run of `tritonctl doctor --probe`,
    `room` is what the operator remembers about the room for new pods,
    `exposure` what prevents `spec.exposure`,
    `orphans` are objects with the operator's label and no owner, or a deleted one, which `adoption` judges,
    `is_outdated`: with the revision policy Latest, the running operator renders the pods differently, and
    `has_turn`: it may apply them now (`upgrades`).
    `canary_pods` are those of the Deployment `<name>-canary`, `canary` is what they are to be, and `why_no_canary` why
    all pods are replaced without one, see `canary_decision`; `due` is when to decide about it again.
    `rollback` is what the pods run instead of the newest revision, and `deployment` then has the spec of these pods;
    `why_no_rollback` is why there is none although the newest revision failed, see `rollback`.
    `returning` is the older revision of the stable pods if the spec requests it again while a canary of another runs.
    `fetching` are the defaults of the installation for the Job of a cache.
    `keda_autoscaler` is the HorizontalPodAutoscaler that KEDA created for the ScaledObject,
    `without_keda` is why the operator sees no ScaledObject of any deployment, None if it can.
    """

    deployment: ModelDeployment
    status: Status | None
    children: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]
    now: datetime
    cache_pods: tuple[Pod, ...] = ()
    caching: Caching | None = None
    pod_events: Mapping[str, tuple[PodEvent, ...]] = {}
    request_events: tuple[PodEvent, ...] = ()
    opening_policies: tuple[ObservedPolicy, ...] = ()
    other_autoscalers: tuple[OtherAutoscaler, ...] | None = ()
    network_probe: NetworkProbe | None = None
    room: Room = NOTHING_SEEN
    orphans: Mapping[ChildId, Child] = {}
    exposure: ExposureFacts = NO_FACTS
    is_outdated: bool = False
    has_turn: bool = False
    rollback: StandingRollback | None = None
    why_no_rollback: str = ""
    canary_pods: tuple[Pod, ...] = ()
    canary: StandingCanary | None = None
    why_no_canary: str = ""
    due: datetime | None = None
    returning: str = ""
    fetching: FetchDefaults = FetchDefaults()
    keda_autoscaler: Child | None = None
    without_keda: HTTPStatus | None = None

    @property
    def serving_pods(self) -> tuple[Pod, ...]:
        """The pods of both Deployments."""
        return (*self.pods, *self.canary_pods)

    @property
    def canary_state(self) -> DeploymentState | None:
        """What the Deployment of the canary reports."""
        child = self.children.get((Kind.DEPLOYMENT, canary_name(self.deployment.metadata.name)))
        return child.state if child and isinstance(child.state, DeploymentState) else None

    @property
    def may_have_canary(self) -> bool:
        """Whether there are, or may soon be, pods of a canary, which the Services and the policies have to select."""
        is_wanted = self.deployment.spec.rollout.strategy is Strategy.CANARY
        return is_wanted or self.canary_state is not None or bool(self.canary_pods)

    @property
    def deployment_child(self) -> Child | None:
        """The Deployment among the children."""
        return self.children.get((Kind.DEPLOYMENT, self.deployment.metadata.name))

    @property
    def deployment_state(self) -> DeploymentState | None:
        """What the Deployment reports."""
        child = self.deployment_child
        return child.state if child and isinstance(child.state, DeploymentState) else None

    @property
    def autoscaler_state(self) -> AutoscalerState | None:
        """What the autoscaler reports, that of KEDA if KEDA is the provider."""
        autoscaling = self.deployment.spec.autoscaling
        child = self.keda_autoscaler if autoscaling and autoscaling.uses_keda else self.own_autoscaler
        return child.state if child and isinstance(child.state, AutoscalerState) else None

    @property
    def own_autoscaler(self) -> Child | None:
        """The HorizontalPodAutoscaler that the operator created."""
        return self.children.get((Kind.AUTOSCALER, self.deployment.metadata.name))

    @property
    def scaled_object(self) -> Child | None:
        """The ScaledObject that the operator created."""
        return self.children.get((Kind.SCALED_OBJECT, self.deployment.metadata.name))


def observe(
    snapshot: Snapshot,
    deployment: ModelDeployment,
    applied_uids: frozenset[str],
    now: datetime,
    fetching: FetchDefaults,
) -> ObservedState:
    """The state of one deployment as the operator's cache has it, without Events.

    `deployment` is an argument because a stored spec may be unreadable; `applied_uids` are the children that this
    process has applied.
    """
    children = _owned_children(snapshot, deployment.metadata.uid, applied_uids)
    return ObservedState(
        deployment=deployment,
        status=snapshot.record.status if snapshot.record else None,
        children=children,
        pods=tuple(pod for pod in snapshot.pods if not (pod.job or _is_canary(pod))),
        now=now,
        cache_pods=tuple(pod for pod in snapshot.pods if pod.job),
        caching=decide_caching(deployment, children, now, fetching),
        opening_policies=snapshot.opening_policies,
        network_probe=snapshot.network_probe,
        orphans=_orphans(snapshot, children) if deployment.spec.adopt is Adopt.MATCHING else {},
        exposure=snapshot.exposure,
        canary_pods=tuple(pod for pod in snapshot.pods if not pod.job and _is_canary(pod)),
        fetching=fetching,
        keda_autoscaler=_keda_autoscaler(snapshot, deployment.metadata.name),
        without_keda=snapshot.without_keda,
    )


def _is_canary(pod: Pod) -> bool:
    return pod.labels.get(LABEL_TRACK) == TRACK_CANARY


def _orphans(snapshot: Snapshot, children: Mapping[ChildId, Child]) -> dict[ChildId, Child]:
    """The other objects with the operator's labels; an owner of the same kind and name with another uid is deleted."""
    found = snapshot.children.items()
    return {child_id: child for child_id, child in found if child_id not in children and child_id != _SHARED}


def _owned_children(snapshot: Snapshot, uid: str, applied_uids: frozenset[str]) -> dict[ChildId, Child]:
    """Children of this object: by their owner or, if somebody removed the ownerReference, because we applied them.

    Other objects with the operator's labels are left alone: they belong to a deleted object of the same name, or to
    somebody else.
    """
    return {
        child_id: child
        for child_id, child in snapshot.children.items()
        if (child.owner_uid == uid or (not child.owner_uid and child.uid in applied_uids)) and child_id != _SHARED
    }


def _keda_autoscaler(snapshot: Snapshot, name: str) -> Child | None:
    """KEDA copies the labels of the ScaledObject to it, so the operator's watch reports it."""
    child = snapshot.children.get((Kind.AUTOSCALER, keda_autoscaler_name(name)))
    is_of_keda = child and isinstance(child.state, AutoscalerState) and child.state.scaled_object_uid
    return child if is_of_keda else None


async def read_events(cluster: Cluster, observed: ObservedState) -> dict[str, tuple[PodEvent, ...]]:
    """Events of what is stuck: nothing else reports a missing volume or Secret, or a Job that cannot create a pod."""
    namespace = observed.deployment.metadata.namespace
    return {
        uid: tuple(await cluster.pod_events(namespace, uid))
        for uid, since in find_stuck(observed).items()
        if observed.now - since >= PENDING_GRACE
    }


def find_stuck(observed: ObservedState) -> dict[str, datetime]:
    """Uids of stuck pods and of Jobs without a pod, and since when they exist."""
    all_pods = (*observed.serving_pods, *observed.cache_pods)
    pods = {pod.uid: created_at(pod) for pod in all_pods if is_stuck(pod)}
    if observed.deployment.spec.image_pull_secrets:  # Only an Event reports that one of them is missing.
        pods |= {pod.uid: created_at(pod) for pod in all_pods if not pod.deleting and waits_for_image(pod)}
    with_pods = {pod.job for pod in observed.cache_pods}
    jobs = {
        child.uid: started
        for child in observed.children.values()
        if isinstance(child.state, JobState) and child.name not in with_pods and not child.state.is_over
        if (started := parse_time(child.state.started_at))
    }
    return pods | jobs


def selector(deployment: ModelDeployment) -> str:
    """Label selector of the serving pods, in the form that `/scale` and autoscalers expect."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(deployment.metadata.name).items()))
