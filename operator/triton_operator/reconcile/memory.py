"""What the operator process remembers of one deployment between passes; a restart loses it without harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.object_cache import Snapshot
from triton_operator.cluster.observed import Child, ChildId, Kind, OtherAutoscaler
from triton_operator.reconcile.autoscaler_choice import choose_autoscaler
from triton_operator.reconcile.caching import Caching
from triton_operator.reconcile.exposure import ExposureDecision, decide_exposure
from triton_operator.reconcile.failed_writes import FailedWrite
from triton_operator.reconcile.observed_state import ObservedState, StandingCanary, StandingRollback
from triton_operator.reconcile.pods import revisions_of_pods
from triton_operator.reconcile.replicas import ReplicaDecision, decide_replicas
from triton_operator.reconcile.rollout import decide_in_place
from triton_operator.reconcile.room import NOTHING_SEEN, Room
from triton_operator.resources.proxy_inputs import ProxyInputs
from triton_operator.resources.revision import RevisionSummary


class Applied(NamedTuple):
    """The last apply of a child: digest of the manifest, and uid and fingerprint in the API server's response.

    For a child that was recognized, `owned` is the digest of what the operator owns, and `digest` is "".
    """

    uid: str
    digest: str
    fingerprint: str
    owned: str = ""


class RejectedManifest(NamedTuple):
    """A manifest that the API server will reject however often it is sent."""

    digest: str
    failure: FailedWrite


class RefusedAdoption(NamedTuple):
    """Why an object was not adopted; as long as the object and the manifest do not change, neither does this."""

    uid: str
    fingerprint: str
    digest: str
    differences: tuple[str, ...]


class PlanInput(NamedTuple):
    """Everything that a plan depends on; equal inputs lead to equal plans.

    `older` are the hashes of older revisions that still have pods, `upgrades`: it is the turn of an outdated one.
    `rollback` is what the pods run instead of the newest revision, `canary` what runs next to them.
    `autoscaler` is the kind that may exist.
    """

    deployment: ModelDeployment
    older: frozenset[str]
    children: Mapping[ChildId, tuple[object, ...]]
    replicas: ReplicaDecision
    in_place: bool
    caching: Caching | None
    proxy: ProxyInputs
    exposure: ExposureDecision | None
    upgrades: bool = False
    rollback: StandingRollback | None = None
    canary: StandingCanary | None = None
    may_have_canary: bool = False
    autoscaler: Kind | None = None


class Converged(NamedTuple):
    """The last pass that left no child to write.

    `snapshot` is the cache that it ended with: until that changes, a pass has nothing to do. It is None if the status
    may change without an event.
    """

    plan_input: PlanInput
    revision: RevisionSummary
    snapshot: Snapshot | None = None


@dataclass(slots=True)
class Memory:
    """Of the deployment with this uid; `applied`, `rejected` and `refused` are by child.

    `other_autoscalers` scaled its Deployment when they were last read; None if they could not be read.
    `room` is what is known about the room for new pods of a rollout.
    `certified`: its certificate existed.
    `is_outdated` and `has_turn` are those of ObservedState. `was_interrupted`: the last pass met a transient error.
    """

    uid: str
    applied: dict[ChildId, Applied] = field(default_factory=dict)
    rejected: dict[ChildId, RejectedManifest] = field(default_factory=dict)
    refused: dict[ChildId, RefusedAdoption] = field(default_factory=dict)
    converged: Converged | None = None
    other_autoscalers: tuple[OtherAutoscaler, ...] | None = ()
    room: Room = NOTHING_SEEN
    certified: bool = False
    is_outdated: bool = False
    has_turn: bool = False
    was_interrupted: bool = False

    def applied_uids(self) -> frozenset[str]:
        """Uids of the children that this process has applied."""
        return frozenset(applied.uid for applied in self.applied.values())


def plan_input(observed: ObservedState, proxy: ProxyInputs, revision: RevisionSummary | None) -> PlanInput:
    """The inputs of the proxy's policy, and the part of the observed state that a plan depends on.

    `revision` is the current one of the last plan.
    """
    children = {child_id: _content(child) for child_id, child in observed.children.items()}
    replicas = decide_replicas(observed.deployment, observed.deployment_state, observed.other_autoscalers)
    current = revision.template_hash if revision else ""
    older = revisions_of_pods(observed.pods) - {current}
    in_place = decide_in_place(observed, revision)
    exposure = decide_exposure(observed, revision)
    upgrades = observed.is_outdated and observed.has_turn
    return PlanInput(
        observed.deployment,
        older,
        children,
        replicas,
        in_place,
        observed.caching,
        proxy,
        exposure,
        upgrades,
        observed.rollback,
        observed.canary,
        observed.may_have_canary,
        choose_autoscaler(observed),
    )


def _content(child: Child) -> tuple[object, ...]:
    """Everything but the status of a child, of which only the readiness of a Certificate affects a plan."""
    state = getattr(child.state, "replicas", None), getattr(child.state, "is_ready", None)
    edits = child.has_foreign_fields, child.is_frozen
    return child.uid, child.fingerprint, child.owner_uid, edits, child.deleting, state
