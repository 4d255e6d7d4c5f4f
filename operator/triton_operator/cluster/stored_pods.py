"""Pods as the API server writes them, with the fields that the operator reads; see `stored_objects`."""

from __future__ import annotations

import msgspec

from triton_operator.cluster.stored_objects import Stored, StoredCondition, StoredMetadata


class StoredTerminated(Stored):
    """`state.terminated` of a container."""

    exit_code: int = 0
    reason: str = ""
    signal: int = 0
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class StoredRunning(Stored):
    """`state.running` of a container; only its presence matters."""


class StoredWaiting(Stored):
    """`state.waiting` of a container."""

    reason: str = ""
    message: str = ""


class StoredState(Stored):
    """`state` or `lastState` of a container; at most one member is set."""

    running: StoredRunning | None = None
    waiting: StoredWaiting | None = None
    terminated: StoredTerminated | None = None


class StoredContainerStatus(Stored):
    """One entry of containerStatuses or initContainerStatuses."""

    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: StoredState = msgspec.field(default_factory=StoredState)
    last_state: StoredState = msgspec.field(default_factory=StoredState)


class StoredProbe(Stored):
    """The budget of a probe."""

    period_seconds: int = 10
    failure_threshold: int = 3
    initial_delay_seconds: int = 0


class StoredLimits(Stored):
    """`resources.limits` of a container, including the defaults of a LimitRange."""

    memory: str = ""


class StoredContainerResources(Stored):
    """`resources` of a container."""

    limits: StoredLimits = msgspec.field(default_factory=StoredLimits)


class StoredContainer(Stored):
    """A container of the spec: its limits and its startup probe."""

    name: str
    resources: StoredContainerResources = msgspec.field(default_factory=StoredContainerResources)
    startup_probe: StoredProbe | None = None


class StoredClaim(Stored):
    """`persistentVolumeClaim` of a volume."""

    claim_name: str = ""


class StoredVolume(Stored):
    """A volume; only claims are read."""

    persistent_volume_claim: StoredClaim | None = None


class StoredPodSpec(Stored):
    """A pod's spec: its node, containers and volumes."""

    node_name: str = ""
    init_containers: tuple[StoredContainer, ...] = ()
    containers: tuple[StoredContainer, ...] = ()
    volumes: tuple[StoredVolume, ...] = ()


class StoredPodStatus(Stored):
    """A pod's status."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[StoredCondition, ...] = ()
    init_container_statuses: tuple[StoredContainerStatus, ...] = ()
    container_statuses: tuple[StoredContainerStatus, ...] = ()


class StoredPod(Stored):
    """A pod."""

    metadata: StoredMetadata
    spec: StoredPodSpec = msgspec.field(default_factory=StoredPodSpec)
    status: StoredPodStatus = msgspec.field(default_factory=StoredPodStatus)
