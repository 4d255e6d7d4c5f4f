"""For how long a rollout has had no room for a new pod, which only the operator's memory shows.

Pure. A new pod often waits only briefly: another pod is terminating, the scheduler preempts one, or its next attempt is
due. After a restart of the operator, the time begins again, which only delays the rollout.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

WAITING_TIME = timedelta(seconds=30)
"""How long there must have been no room before an old pod is stopped."""

REFILL_TIME = timedelta(minutes=2)
"""How long it may take to create the next pod after an old one has ended: Kubernetes retries with a growing delay."""


class Room(NamedTuple):
    """`lacking_since` is about new pods of `template` (a hash); `released_at` is when a pod last terminated."""

    template: str = ""
    lacking_since: datetime | None = None
    released_at: datetime | None = None

    def lacks(self, template: str, now: datetime) -> bool:
        """Whether pods of the template have lacked room for long enough."""
        return self.template == template and self.lacking_since is not None and now - self.lacking_since >= WAITING_TIME

    def is_refilling(self, now: datetime) -> bool:
        """Whether a pod has ended so recently that the next one may not exist yet."""
        return self.released_at is not None and now - self.released_at < REFILL_TIME

    def changes_in(self, now: datetime) -> timedelta | None:
        """The time until the answer to one of these questions changes without an event; None if it does not."""
        ends = [
            self.lacking_since and self.lacking_since + WAITING_TIME,
            self.released_at and self.released_at + REFILL_TIME,
        ]
        return min((end - now for end in ends if end and end > now), default=None)

    def next(self, template: str, now: datetime, *, is_lacking: bool, is_ending: bool) -> Room:
        """What is known after a pass that has seen this."""
        since = self.lacking_since if self.template == template else None
        return Room(template, (since or now) if is_lacking else None, now if is_ending else self.released_at)


NOTHING_SEEN = Room()
"""Before the first pass."""
