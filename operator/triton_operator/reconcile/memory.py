"""What the operator process remembers of one deployment between passes; a restart loses it without harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import Child
from triton_operator.reconcile.caching import Caching
from triton_operator.reconcile.failed_writes import FailedWrite
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.replicas import ReplicaDecision, decide_replicas
from triton_operator.reconcile.store import ChildId, View
from triton_operator.resources.revision import RevisionSummary


class Applied(NamedTuple):
    """The last apply of a child: digest of the manifest, and uid and fingerprint in the API server's response."""

    uid: str
    digest: str
    fingerprint: str


class RejectedManifest(NamedTuple):
    """A manifest that the API server will reject however often it is sent."""

    digest: str
    failure: FailedWrite


class PlanInput(NamedTuple):
    """Everything that a plan depends on; equal inputs lead to equal plans."""

    deployment: ModelDeployment
    children: Mapping[ChildId, tuple[object, ...]]
    replicas: ReplicaDecision
    caching: Caching | None


class Converged(NamedTuple):
    """The last pass that left no child to write.

    `observed` is what the pass ended with, None if its status may change without an event. `view` is a view in which
    that was found again: nothing needs to be observed as long as the cache has no other.
    """

    plan_input: PlanInput
    revision: RevisionSummary
    observed: ObservedState | None = None
    view: View | None = None

    def is_current(self, observed: ObservedState) -> bool:
        """Whether nothing has changed since, so that another pass would write nothing."""
        return self.observed is not None and self.observed.equals(observed)


@dataclass(slots=True)
class Memory:
    """`applied` and `rejected` are by child; `was_interrupted`: the last pass met a transient error."""

    applied: dict[ChildId, Applied] = field(default_factory=dict)
    rejected: dict[ChildId, RejectedManifest] = field(default_factory=dict)
    converged: Converged | None = None
    was_interrupted: bool = False

    def applied_uids(self) -> frozenset[str]:
        """Uids of the children that this process has applied."""
        return frozenset(applied.uid for applied in self.applied.values())


def plan_input(observed: ObservedState) -> PlanInput:
    """The part of the observed state that a plan depends on."""
    children = {child_id: _content(child) for child_id, child in observed.children.items()}
    replicas = decide_replicas(observed.deployment, observed.deployment_state)
    return PlanInput(observed.deployment, children, replicas, observed.caching)


def _content(child: Child) -> tuple[object, ...]:
    """Everything but the status of a child."""
    replicas = getattr(child.state, "replicas", None)
    return child.uid, child.fingerprint, child.owner_uid, child.foreign, child.deleting, replicas
