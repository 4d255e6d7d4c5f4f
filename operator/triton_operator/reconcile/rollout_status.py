"""`status.rollout`: how the current rollout replaces pods, and why. Pure."""

from __future__ import annotations

import msgspec

from triton_operator.api.rollout import Strategy
from triton_operator.api.status import RolloutMethod, RolloutStatus
from triton_operator.reconcile.canary_status import derive_canary
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.rollout import NoRoom, find_no_room, is_unfinished
from triton_operator.resources.revision import RevisionSummary


def derive_rollout(observed: ObservedState, current: RevisionSummary | None) -> RolloutStatus | None:
    """The rollout to the revision `current`, the rollback to it, and the canary next to it; None if there is none."""
    rollout, canary = _derive_unfinished(observed, current), derive_canary(observed)
    if observed.rollback is None and canary is None:
        return rollout
    rollback = observed.rollback.state if observed.rollback else None
    return msgspec.structs.replace(rollout or RolloutStatus(), rollback=rollback, canary=canary)


def _derive_unfinished(observed: ObservedState, current: RevisionSummary | None) -> RolloutStatus | None:
    state = observed.deployment_state
    if state is None or current is None or not is_unfinished(observed, current.template_hash):
        return None
    is_auto = observed.deployment.spec.rollout.strategy is Strategy.AUTO
    no_room = find_no_room(observed, current) if is_auto else None
    if not state.replaces_in_place:
        return RolloutStatus(RolloutMethod.SURGE, _why_not_in_place(no_room) if no_room else "")
    if not is_auto:
        return RolloutStatus(RolloutMethod.IN_PLACE)
    return RolloutStatus(RolloutMethod.IN_PLACE, _why_in_place(observed, no_room.cause if no_room else ""))


def _why_not_in_place(no_room: NoRoom) -> str:
    return f"{no_room.cause}; old pods are not stopped first, because {no_room.why_not}" if no_room.why_not else ""


def _why_in_place(observed: ObservedState, cause: str) -> str:
    """The cause disappears when the first old pod has made room, so it is kept."""
    if cause:
        return f"replacing in place: {cause}"
    known = observed.status.rollout if observed.status else None
    return known.message if known and known.method is RolloutMethod.IN_PLACE else "replacing in place"
