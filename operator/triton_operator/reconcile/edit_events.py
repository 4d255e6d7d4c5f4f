"""Events about edits that the operator has undone: their text, and how many there are.

Input: an edit. Output: an Event of the ModelDeployment, and a line in the log. A client that changes an object again
and again causes a few Events; the next one counts those that were left out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from triton_operator.api.spec import Metadata
from triton_operator.cluster.edits import Edit
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.protocol import Cluster

log = logging.getLogger(__name__)

BURST = 5
"""Events of one reason about one deployment that are posted at once."""
REFILL = timedelta(minutes=5)
"""After them, one more in each of these periods."""
READ_LIMIT = 2.0
"""Seconds for reading an edited object; restoring it must not wait longer."""
_NAMED = 5
"""Fields, and managers, that a message names."""


def describe(what: str, edit: Edit | None) -> str:
    """Describe who has changed what; without an `edit`, `what` was deleted."""
    if edit is None:
        return f"somebody else deleted {what}"
    who = f"field manager {_join(edit.managers)}" if edit.managers else "somebody else"
    fields = f"{_join(edit.fields)} of " if edit.fields else ""
    return f"{who} changed {fields}{what}"


@dataclass(slots=True)
class _Budget:
    """How many Events may be posted."""

    left: float
    since: datetime
    skipped: int = 0

    def refill(self, now: datetime) -> None:
        self.left = min(BURST, self.left + (now - self.since) / REFILL)
        self.since = now

    @property
    def is_full(self) -> bool:
        return self.left >= BURST and not self.skipped


class EditEvents:
    """Posts Events through `cluster`; a lost one is only logged."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._budgets: dict[tuple[str, str], _Budget] = {}

    async def post(self, reason: str, message: str, deployment: Metadata, now: datetime) -> None:
        """Report that an edit was undone."""
        namespace, name, uid = deployment.namespace, deployment.name, deployment.uid
        log.warning("%s/%s: %s", namespace, name, message)
        budget = self._budget(uid, reason, now)
        if budget.left < 1:
            budget.skipped += 1
            return
        budget.left -= 1
        if budget.skipped:
            message += f" ({budget.skipped} more edits were undone since the last Event)"
            budget.skipped = 0
        try:
            await self._cluster.post_event(
                namespace, name, uid, type="Warning", reason=reason, message=message, action="Restore"
            )
        except ClusterError as error:
            log.warning("cannot post event %s of %s/%s: %s", reason, namespace, name, error)

    def _budget(self, uid: str, reason: str, now: datetime) -> _Budget:
        for budget in self._budgets.values():
            budget.refill(now)
        self._budgets = {key: budget for key, budget in self._budgets.items() if not budget.is_full}
        return self._budgets.setdefault((uid, reason), _Budget(BURST, now))


def _join(names: tuple[str, ...]) -> str:
    hidden = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {hidden} more" if hidden > 0 else "")
