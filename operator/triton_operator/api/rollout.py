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
    CANARY = "Canary"


class RevisionPolicy(StrEnum):
    """Whether a new version of the operator renders the pods again: Pinned waits for a change of the spec."""

    PINNED = "Pinned"
    LATEST = "Latest"


class CanaryPause(Struct, frozen=True):
    """How long a step lasts after all pods of the canary are ready; None until a person resumes it."""

    seconds: int | None = None


class CanaryStep(Struct, frozen=True):
    """A share of the traffic in percent; 100, only in the last step, gives the new revision to all pods."""

    weight: int
    pause: CanaryPause = CanaryPause()


class Canary(Struct, frozen=True):
    """The steps of a canary; `resumed` names the step, `<revision>/<number>`, that a person has resumed last."""

    steps: tuple[CanaryStep, ...]
    resumed: str | None = None


class Rollout(Struct, frozen=True):
    """The rollout of a changed pod template.

    `max_surge` and `max_unavailable` are numbers of pods or percentages of the replicas, and belong to RollingUpdate.
    `restarted_at` is RFC 3339; a changed value replaces all pods once. `canary` belongs to the strategy Canary.
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
    canary: Canary | None = None
