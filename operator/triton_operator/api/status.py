"""The status of a ModelDeployment as types.

`reconcile.derive_status` builds it from scratch, `cluster` writes it; tests and the CLI read it. Conditions follow
Kubernetes' API conventions: one per type, `last_transition_time` changes with `status` only.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class Truth(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Struct, frozen=True, omit_defaults=False):
    """One observation about the deployment; `message` is written for a person.

    All fields are written, because `metav1.Condition` requires a message and a time even if they are empty.
    """

    type: str
    status: Truth
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ModelState(StrEnum):
    """How far one model has come in the newest pods; Mixed: their files or configurations differ."""

    PENDING = "Pending"
    PREPARED = "Prepared"
    READY = "Ready"
    FAILED = "Failed"
    MIXED = "Mixed"


class ModelStatus(Struct, frozen=True):
    """One model: the versions that are laid out, the digest of its files, and what is wrong with it."""

    name: str
    state: ModelState
    versions: tuple[str, ...] = ()
    digest: str = ""
    message: str = ""


class Endpoints(Struct, frozen=True):
    """Addresses inside the cluster."""

    http: str = ""
    grpc: str = ""
    metrics: str = ""


class CacheState(StrEnum):
    """How far the cache is; Waiting while nothing fills it, as in a suspended deployment."""

    WAITING = "Waiting"
    FILLING = "Filling"
    FILLED = "Filled"
    FAILED = "Failed"


class CacheStatus(Struct, frozen=True):
    """The claim that the present spec asks for, and since when it is in its state (RFC 3339)."""

    claim_name: str
    state: CacheState
    since: str = ""


class RevisionStatus(Struct, frozen=True):
    """One rendered pod template that still has pods, or is the current one."""

    name: str
    generation: int = 0
    image: str = ""
    ready: int = 0
    current: bool = False


class Failure(Struct, frozen=True):
    """The last failure of a serving pod, kept after recovery."""

    pod: str
    container: str
    reason: str
    exit_code: int | None = None
    message: str = ""
    time: str = ""


class Status(Struct, frozen=True, omit_defaults=False):
    """The last observed state; `observed_generation` is the generation of its spec."""

    observed_generation: int
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    selector: str = ""
    models: tuple[ModelStatus, ...] = ()
    endpoints: Endpoints = Endpoints()
    revisions: tuple[RevisionStatus, ...] = ()
    cache: CacheStatus | None = None
    last_failure: Failure | None = None
    conditions: tuple[Condition, ...] = ()
