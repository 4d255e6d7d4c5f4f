"""The rollout of a Deployment: its strategy, its deadline, and how many old revisions are kept. Pure."""

from __future__ import annotations

from triton_operator.api.rollout import Rollout, Strategy
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.probes import startup_seconds

BEFORE_STARTUP_SECONDS = 1800
"""A rollout may pull a 15 GB image before the startup timeout begins."""

OLD_REVISIONS = 2
"""Old ControllerRevisions, and their ReplicaSets, that are kept by default."""

_NONE = frozenset({"0", "0%"})


def build_strategy(spec: Spec, *, in_place: bool = False) -> Manifest:
    """`strategy` of the Deployment; with `in_place`, Auto and Canary stop an old pod before they start a new one."""
    rollout = spec.rollout
    if rollout.strategy is Strategy.RECREATE:
        return {"type": "Recreate"}
    if rollout.strategy is Strategy.ROLLING_UPDATE:
        surge, unavailable = _surge(rollout), _unavailable(rollout)
    else:
        surge, unavailable = (0, 1) if in_place else (1, 0)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def progress_deadline_seconds(spec: Spec) -> int:
    """The time without progress after which a rollout has failed."""
    return spec.rollout.progress_deadline_seconds or startup_seconds(spec) + BEFORE_STARTUP_SECONDS


def old_revisions(spec: Spec) -> int:
    """How many revisions other than the current one are kept, in addition to those that have pods."""
    limit = spec.rollout.revision_history_limit
    return OLD_REVISIONS if limit is None else limit


def _surge(rollout: Rollout) -> int | str:
    return 1 if rollout.max_surge is None else rollout.max_surge


def _unavailable(rollout: Rollout) -> int | str:
    """Without surge, a rollout makes progress only if one pod may be unavailable."""
    if rollout.max_unavailable is not None:
        return rollout.max_unavailable
    return 1 if str(rollout.max_surge) in _NONE else 0
