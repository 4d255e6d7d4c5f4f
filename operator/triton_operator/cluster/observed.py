"""What the operator remembers of objects in the cluster: small projections, never whole objects.

`cluster` decodes them out of the API server's JSON, `reconcile` reads them. A child's content is reduced to a
fingerprint, so that 500 deployments with all their children cost a few megabytes: drift is a fingerprint that
differs from the one seen in the answer to our own last apply.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """Kinds of child objects."""

    SERVICE_ACCOUNT = "ServiceAccount"
    CONFIG_MAP = "ConfigMap"
    DEPLOYMENT = "Deployment"
    SERVICE = "Service"
    NETWORK_POLICY = "NetworkPolicy"
    AUTOSCALER = "HorizontalPodAutoscaler"
    DISRUPTION_BUDGET = "PodDisruptionBudget"
    REVISION = "ControllerRevision"
    CLAIM = "PersistentVolumeClaim"
    JOB = "Job"


IMMUTABLE_KINDS = frozenset({Kind.CLAIM, Kind.JOB})
"""Kinds whose content can hardly be changed: they are made, labelled anew and deleted, but never mended."""


Key = tuple[str, str]
"""(namespace, name) of a ModelDeployment."""

ChildId = tuple[Kind, str]
"""Kind and name of a child."""

KINDS = {kind.value: kind for kind in Kind}
"""By the `kind` of a manifest; asking the enumeration costs seven times as much, and a pass asks some fifty times."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Common options of all projections."""


class Condition(Record, frozen=True, kw_only=True):
    """A condition of a child or a pod as its own controller wrote it."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class DeploymentState(Record, frozen=True, kw_only=True):
    """What a Deployment says beyond its content. `replicas` is the spec's, `owns_replicas`: our Apply entry has it."""

    generation: int
    replicas: int
    owns_replicas: bool
    observed_generation: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class RevisionState(Record, frozen=True, kw_only=True):
    """A ControllerRevision: its number and its data as JSON bytes, decoded only when needed."""

    number: int
    data: bytes


class AutoscalerState(Record, frozen=True, kw_only=True):
    """What a HorizontalPodAutoscaler reports."""

    conditions: tuple[Condition, ...] = ()


class ClaimState(Record, frozen=True, kw_only=True):
    """A PersistentVolumeClaim: the size that it asks for now, and whether we have marked it as filled."""

    requested: str = ""
    filled: bool = False


class JobState(Record, frozen=True, kw_only=True):
    """A Job: what it was made from, whether it is over, and why it failed; times are RFC 3339.

    `labelled` is false when somebody took the label away by which it is watched.
    """

    recipe: str = ""
    labelled: bool = True
    complete: bool = False
    failed: bool = False
    failed_at: str = ""
    reason: str = ""
    message: str = ""
    started_at: str = ""

    @property
    def is_over(self) -> bool:
        """Whether its controller makes no pod for it any more."""
        return self.complete or self.failed


State = DeploymentState | RevisionState | AutoscalerState | ClaimState | JobState


class Child(Record, frozen=True, kw_only=True):
    """One child object.

    `deployment` is the name of its ModelDeployment owner or, without one, the value of our label (which anybody may
    change), `owner_uid` that owner's uid ("" when it has none),
    `fingerprint` a hash of everything but status, resourceVersion and bookkeeping (and a Deployment's replicas),
    `owned` a digest of what our applies own in it, see `field_ownership` ("" where that was not looked at),
    `foreign`: some other field manager owns a part of its spec or data. Status, `/scale`, a Deployment's replicas and
    the metadata of its pod template do not count: labels and annotations of others stay, so that
    `kubectl rollout restart` works. Of a IMMUTABLE_KINDS kind the content is in neither of the two.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: int
    deployment: str = ""
    owner_uid: str = ""
    fingerprint: str = ""
    owned: str = ""
    foreign: bool = False
    deleting: bool = False
    state: State | None = None


class Terminated(Record, frozen=True, kw_only=True):
    """How a container ended."""

    exit_code: int
    reason: str = ""
    signal: int = 0
    message: str = ""
    started_at: str = ""
    finished_at: str = ""


class Container(Record, frozen=True, kw_only=True):
    """One container (or init container) of a pod as the kubelet reports it.

    `memory_limit` is the quantity that the pod was admitted with, "" where there is none; `startup_seconds` the budget
    of its startup probe, 0 without one.
    """

    name: str
    init: bool
    ready: bool = False
    started: bool = False
    restarts: int = 0
    running: bool = False
    waiting_reason: str = ""
    waiting_message: str = ""
    terminated: Terminated | None = None
    last_terminated: Terminated | None = None
    memory_limit: str = ""
    startup_seconds: int = 0


class Pod(Record, frozen=True, kw_only=True):
    """One pod: of a Job when `job` names it, else a serving one, with the value of our revision label in `revision`.

    `created_at` is RFC 3339, `claims` are the volume claims that it mounts.
    """

    namespace: str
    name: str
    uid: str
    resource_version: int
    deployment: str
    revision: str = ""
    job: str = ""
    created_at: str = ""
    deleting: bool = False
    node: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    containers: tuple[Container, ...] = ()
    claims: tuple[str, ...] = ()


class PodEvent(Record, frozen=True, kw_only=True):
    """A Kubernetes Event about one pod."""

    type: str
    reason: str
    message: str
