"""How new pods replace old ones: `spec.rollout`.

The schema documents each field. `resources` builds the strategy of the Deployment, and `reconcile` decides whether the
strategy Auto replaces pods in place.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class Strategy(StrEnum):
    """The order in which pods start and stop; Auto starts new pods first unless there is no room for them."""

    AUTO = "Auto"
    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"


class RevisionPolicy(StrEnum):
    """Whether a new version of the operator renders the pods again: Pinned waits for a change of the spec."""

    PINNED = "Pinned"
    LATEST = "Latest"


class Rollout(Struct, frozen=True):
    """The rollout of a changed pod template.

    `max_surge` and `max_unavailable` are numbers of pods or percentages of the replicas, and belong to RollingUpdate.
    `restarted_at` is RFC 3339; a changed value replaces all pods once.
    """

    strategy: Strategy = Strategy.AUTO
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None
    rollback_on_failure: bool = False
    revision_history_limit: int | None = None
    revision_policy: RevisionPolicy = RevisionPolicy.PINNED
    restarted_at: str | None = None
