"""Projects the JSON of a pod to the small Pod in the operator's cache.

Pure; the reflector calls it for every event, so it creates no dictionaries of whole objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_JOB, LABEL_REVISION
from triton_operator.cluster.observed import Container, Pod, Terminated
from triton_operator.cluster.projection import project_conditions
from triton_operator.cluster.stored_pods import (
    StoredContainer,
    StoredContainerStatus,
    StoredPod,
    StoredProbe,
    StoredTerminated,
)

_decode_pod = msgspec.json.Decoder(StoredPod).decode


def project_pod(body: bytes | msgspec.Raw) -> Pod:
    """A pod as the kubelet and the scheduler report it; raises msgspec.DecodeError."""
    stored = _decode_pod(body)
    metadata, status = stored.metadata, stored.status
    return Pod(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=int(metadata.resource_version),
        deployment=metadata.labels.get(LABEL_DEPLOYMENT, ""),
        revision=metadata.labels.get(LABEL_REVISION, ""),
        job=metadata.labels.get(LABEL_JOB, ""),
        created_at=metadata.creation_timestamp,
        deleting=metadata.deletion_timestamp is not None,
        node=stored.spec.node_name,
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        conditions=project_conditions(status.conditions),
        containers=(
            *_containers(status.init_container_statuses, stored.spec.init_containers, init=True),
            *_containers(status.container_statuses, stored.spec.containers, init=False),
        ),
        claims=tuple(
            volume.persistent_volume_claim.claim_name
            for volume in stored.spec.volumes
            if volume.persistent_volume_claim
        ),
        labels=metadata.labels,
    )


def _containers(
    statuses: Sequence[StoredContainerStatus], specs: Sequence[StoredContainer], *, init: bool
) -> tuple[Container, ...]:
    by_name = {spec.name: spec for spec in specs}
    return tuple(_container(status, by_name.get(status.name) or StoredContainer(""), init=init) for status in statuses)


def _container(status: StoredContainerStatus, spec: StoredContainer, *, init: bool) -> Container:
    waiting = status.state.waiting
    return Container(
        name=status.name,
        init=init,
        ready=status.ready,
        started=bool(status.started),
        restarts=status.restart_count,
        running=status.state.running is not None,
        waiting_reason=waiting.reason if waiting else "",
        waiting_message=waiting.message if waiting else "",
        terminated=_terminated(status.state.terminated),
        last_terminated=_terminated(status.last_state.terminated),
        memory_limit=spec.resources.limits.memory,
        startup_seconds=_budget(spec.startup_probe) if spec.startup_probe else 0,
    )


def _budget(probe: StoredProbe) -> int:
    """Seconds after which the kubelet kills a container that has not passed its startup probe."""
    return probe.initial_delay_seconds + probe.period_seconds * probe.failure_threshold


def _terminated(state: StoredTerminated | None) -> Terminated | None:
    if state is None:
        return None
    return Terminated(
        exit_code=state.exit_code,
        reason=state.reason,
        signal=state.signal,
        message=state.message,
        started_at=state.started_at or "",
        finished_at=state.finished_at or "",
    )
