"""The status of a ModelDeployment as a Python object.

Pure. Input: the JSON of a ModelDeployment. Output: a `DeploymentStatus`. A condition of an older generation than the
object's does not count. The clients and the CLI call it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.conditions import READY, STALLED
from triton_operator.api.status import Condition, Status, Truth
from triton_operator.sdk.errors import SdkError

NOT_SEEN = "NotSeenYet"
OUTDATED = "Outdated"
"""Reasons of the client: the operator has not reported on the object yet, or not on its latest generation."""


class DeploymentStatus(msgspec.Struct, frozen=True):
    """Whether a ModelDeployment is Ready.

    `reason` and `message` are those of its Ready condition. `stalled` means that there is no progress until a user
    fixes the cause. `details` is the complete status.
    """

    name: str
    namespace: str
    ready: bool
    reason: str
    message: str
    stalled: bool
    details: Status


def judge(deployment: dict[str, Any]) -> DeploymentStatus:
    """Return the status of a deployment."""
    metadata = deployment["metadata"]
    details = read_status(deployment)
    ready, reason, message = _verdict(details, metadata.get("generation", 0))
    stalled = find_condition(details, STALLED)
    current = reason not in {NOT_SEEN, OUTDATED}
    return DeploymentStatus(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        ready=ready,
        reason=reason,
        message=message,
        stalled=current and stalled is not None and stalled.status is Truth.TRUE,
        details=details,
    )


def read_status(deployment: dict[str, Any]) -> Status:
    """Return the typed status, empty if the operator has not written one; raises SdkError if it cannot be decoded."""
    try:
        return msgspec.convert({"observedGeneration": 0, **deployment.get("status", {})}, Status)
    except msgspec.ValidationError as error:
        name = deployment.get("metadata", {}).get("name", "")
        raise SdkError(
            f"the status of {name} cannot be read; the operator may have a different release: {error}"
        ) from error


def _verdict(details: Status, generation: int) -> tuple[bool, str, str]:
    found = find_condition(details, READY)
    if found is None:
        return (
            False,
            NOT_SEEN,
            "The operator has not reported on this object yet; is it running, and does it watch this namespace?",
        )
    if details.observed_generation < generation:
        return (
            False,
            OUTDATED,
            f"The operator has not processed the latest change yet; the last reported reason is {found.reason}",
        )
    return found.status is Truth.TRUE, found.reason, found.message


def find_condition(details: Status, kind: str) -> Condition | None:
    """Return the condition of this type."""
    return next((condition for condition in details.conditions if condition.type == kind), None)
