"""Kubernetes Events about a deployment: one for each change of Ready that a person would want to see.

Pure: the previous and the new status go in, announcements come out; the reconciler posts them after the status write.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.conditions import READY, Reason
from triton_operator.api.status import Condition, Status, Truth

_QUIET = frozenset({Reason.ROLLING_OUT, Reason.CACHING, Reason.SUSPENDED, Reason.SCALED_TO_ZERO})
"""What the user asked for is no warning."""


class Announcement(NamedTuple):
    """An Event to post."""

    type: str
    reason: str
    message: str


def announce(old: Status | None, new: Status) -> list[Announcement]:
    """Events for what changed; nothing for a first look at an object that is only coming up.

    Ready alone is followed: it carries the reason of whatever failed first, Accepted included.
    """
    before, after = _ready(old), _ready(new)
    if after is None or not _is_news(before, after):
        return []
    normal = after.status is Truth.TRUE or after.reason in _QUIET
    return [Announcement("Normal" if normal else "Warning", after.reason, after.message)]


def _is_news(before: Condition | None, after: Condition) -> bool:
    if before is None:
        return after.reason not in _QUIET
    return (before.status, before.reason) != (after.status, after.reason)


def _ready(status: Status | None) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == READY), None) if status else None
