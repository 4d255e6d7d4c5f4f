"""Claims and Jobs as the operator remembers them: kinds that it makes and deletes, but never mends.

What matters in them cannot be changed once they exist, and controllers write into the rest. So their fingerprint covers
what makes them ours (labels, owner, our annotations), and nobody's fields in them count as foreign. Pure; `projection`
calls it.
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
from triton_operator.cluster.stored_objects import StoredChild, StoredCondition, StoredResources, StoredStatus

_decode_resources = msgspec.json.Decoder(StoredResources).decode
_encode = msgspec.json.Encoder().encode


def immutable_state(kind: Kind, stored: StoredChild) -> ClaimState | JobState:
    """What is decided by, of a PersistentVolumeClaim or a Job."""
    return _claim_state(stored) if kind is Kind.CLAIM else _job_state(stored)


def immutable_fingerprint(stored: StoredChild) -> str:
    """16 hexadecimal digits over what makes the object ours."""
    metadata = stored.metadata
    ours = {key: value for key, value in metadata.annotations.items() if key.startswith(f"{GROUP}/")}
    return content_hash(_encode((metadata.labels, ours, metadata.owner_references)), 16)


def _claim_state(stored: StoredChild) -> ClaimState:
    resources = stored.spec.get("resources")
    requests = _decode_resources(resources).requests if resources else {}
    filled = stored.metadata.annotations.get(ANNOTATION_FILLED) == "true"
    return ClaimState(requested=requests.get("storage", ""), filled=filled)


def _job_state(stored: StoredChild) -> JobState:
    """`Failed` and `Complete` are the Job controller's last words; before them it says FailureTarget and the like."""
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
