"""Pods as the API server writes them, decoded no further than the operator looks; see `stored_objects`."""

from __future__ import annotations

import msgspec

from triton_operator.cluster.stored_objects import Metadata, Stored, StoredCondition


class StoredTerminated(Stored):
    """`state.terminated` of a container."""

    exit_code: int = 0
    reason: str = ""
    signal: int = 0
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class StoredRunning(Stored):
    """`state.running` of a container; that it is there says enough."""


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
    """A probe: how often it may fail."""

    period_seconds: int = 10
    failure_threshold: int = 3
    initial_delay_seconds: int = 0


class StoredLimits(Stored):
    """`resources.limits` of a container, after admission has filled in what a LimitRange adds."""

    memory: str = ""


class StoredResources(Stored):
    """`resources` of a container."""

    limits: StoredLimits = msgspec.field(default_factory=StoredLimits)


class StoredContainer(Stored):
    """A container as it was asked for: what it may use, and how long its start may take."""

    name: str
    resources: StoredResources = msgspec.field(default_factory=StoredResources)
    startup_probe: StoredProbe | None = None


class StoredClaim(Stored):
    """`persistentVolumeClaim` of a volume."""

    claim_name: str = ""


class StoredVolume(Stored):
    """A volume; only claims are looked at."""

    persistent_volume_claim: StoredClaim | None = None


class StoredPodSpec(Stored):
    """A pod's spec: where it runs, and what its failures are measured by."""

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

    metadata: Metadata
    spec: StoredPodSpec = msgspec.field(default_factory=StoredPodSpec)
    status: StoredPodStatus = msgspec.field(default_factory=StoredPodStatus)
