"""Projections of claims and Jobs: kinds that the operator creates and deletes, but never reverts.

Their relevant fields are immutable, and controllers write the others. So their fingerprint covers only labels, owner
and the operator's annotations, and fields of other managers are ignored. Pure; `projection` calls it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.names import (
    ANNOTATION_FILLED,
    ANNOTATION_RECIPE,
    GROUP,
    LABEL_MANAGED_BY,
    MANAGER,
    content_hash,
)
from triton_operator.cluster.observed import ClaimState, JobState, Kind
from triton_operator.cluster.stored_objects import StoredChild, StoredClaimSpec, StoredCondition, StoredStatus

_decode_spec = msgspec.json.Decoder(StoredClaimSpec).decode
_encode = msgspec.json.Encoder().encode


def immutable_state(kind: Kind, stored: StoredChild) -> ClaimState | JobState:
    """The state of a PersistentVolumeClaim or a Job."""
    return _claim_state(stored) if kind is Kind.CLAIM else _job_state(stored)


def immutable_fingerprint(stored: StoredChild) -> str:
    """16 hexadecimal digits over labels, owner and the operator's annotations."""
    metadata = stored.metadata
    own = {key: value for key, value in metadata.annotations.items() if key.startswith(f"{GROUP}/")}
    return content_hash(_encode((metadata.labels, own, metadata.owner_references)), 16)


def _claim_state(stored: StoredChild) -> ClaimState:
    requests = _decode_spec(stored.spec).resources.requests
    filled = stored.metadata.annotations.get(ANNOTATION_FILLED) == "true"
    return ClaimState(requested=requests.get("storage", ""), filled=filled)


def _job_state(stored: StoredChild) -> JobState:
    """`Failed` and `Complete` are final; before them, the Job controller sets FailureTarget and the like."""
    status = stored.status or StoredStatus()
    over = {condition.type: condition for condition in status.conditions if condition.status == "True"}
    failed = over.get("Failed", StoredCondition())
    return JobState(
        recipe=stored.metadata.annotations.get(ANNOTATION_RECIPE, ""),
        labelled=stored.metadata.labels.get(LABEL_MANAGED_BY) == MANAGER,
        complete="Complete" in over,
        failed="Failed" in over,
        failed_at=failed.last_transition_time or "",
        reason=failed.reason,
        message=failed.message,
        started_at=status.start_time or "",
    )
