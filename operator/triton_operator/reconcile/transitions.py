"""Kubernetes Events about a deployment: one for each relevant change of Ready.

Pure. Input: the previous and the new status. Output: the Events that the reconciler posts after the status write.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.conditions import READY, Reason
from triton_operator.api.status import CanaryPhase, CanaryStatus, Condition, Rollback, RolloutMethod, Status, Truth

_QUIET = frozenset({Reason.ROLLING_OUT, Reason.ROLLOUT_PAUSED, Reason.CACHING, Reason.SUSPENDED, Reason.SCALED_TO_ZERO})
"""Reasons that the user requested, so they are not warnings."""


class NewEvent(NamedTuple):
    """An Event to post."""

    type: str
    reason: str
    message: str


def events_for(old: Status | None, new: Status) -> list[NewEvent]:
    """Events for what has changed; none for the first status of an object that is starting.

    Of the conditions, only Ready counts, because it has the reason of the first failure, Accepted included.
    """
    return [*_of_rollout(old, new), *_of_canary(old, new), *_of_rollback(old, new), *_of_ready(old, new)]


def _of_rollout(old: Status | None, new: Status) -> list[NewEvent]:
    """The strategy Auto begins to replace pods in place."""
    if not _is_in_place(new) or (old and _is_in_place(old)):
        return []
    message = new.rollout.message if new.rollout else ""
    return [NewEvent("Normal", Reason.REPLACING_IN_PLACE, message)] if message else []


def _of_canary(old: Status | None, new: Status) -> list[NewEvent]:
    """The phase of a canary has changed."""
    before, after = _canary(old), _canary(new)
    if after is None or (before and (before.phase, before.revision) == (after.phase, after.revision)):
        return []
    kind = "Warning" if after.phase is CanaryPhase.ABORTED else "Normal"
    return [NewEvent(kind, f"Canary{after.phase}", after.message)]


def _canary(status: Status | None) -> CanaryStatus | None:
    return status.rollout.canary if status and status.rollout else None


def _of_rollback(old: Status | None, new: Status) -> list[NewEvent]:
    """The operator returns to an earlier revision."""
    rollback = _rollback(new)
    canary = _canary(new)
    if rollback is None or _rollback(old) == rollback or (canary and canary.phase is CanaryPhase.ABORTED):
        return []
    message = f"{rollback.message}; the operator returns to revision {rollback.restored_revision}"
    return [NewEvent("Warning", Reason.ROLLED_BACK, message)]


def _rollback(status: Status | None) -> Rollback | None:
    return status.rollout.rollback if status and status.rollout else None


def _is_in_place(status: Status) -> bool:
    return status.rollout is not None and status.rollout.method is RolloutMethod.IN_PLACE


def _of_ready(old: Status | None, new: Status) -> list[NewEvent]:
    before, after = _ready(old), _ready(new)
    if after is None or not _is_news(before, after):
        return []
    normal = after.status is Truth.TRUE or after.reason in _QUIET
    return [NewEvent("Normal" if normal else "Warning", after.reason, after.message)]


def _is_news(before: Condition | None, after: Condition) -> bool:
    if after.reason == Reason.ROLLED_BACK:
        return False  # Reported when it began.
    if before is None:
        return after.reason not in _QUIET
    return (before.status, before.reason) != (after.status, after.reason)


def _ready(status: Status | None) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == READY), None) if status else None
