"""Which deployment may be rendered again by the running version of the operator: `spec.rollout.revisionPolicy: Latest`.

Deployments wait for their turn, so that an upgrade of the operator replaces the pods of only a few deployments at a
time. The turns are recorded in the status of the ModelDeployments, so a restarted operator continues with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from triton_operator.api.conditions import READY, STALLED
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.rollout import RevisionPolicy
from triton_operator.api.status import Condition, Status, Truth, UpgradeState, UpgradeStatus
from triton_operator.cluster.deployment_cache import DeploymentCache, DeploymentRecord
from triton_operator.cluster.observed import Key
from triton_operator.reconcile.messages import clip
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.rollout import progress_deadline_seconds

_TAKEN = frozenset({UpgradeState.UPDATING, UpgradeState.FAILED})
_WAITING = "the running version of the operator renders the pods differently; the update begins {}"


class Upgrades:
    """The turns of all deployments of an installation, of which at most `limit` are updated at a time."""

    def __init__(self, deployments: DeploymentCache, limit: int) -> None:
        self._deployments = deployments
        self._limit = limit
        self._begun: set[Key] = set()
        """Turns that are not in the cached status yet, because the pass is running or failed to write the status."""

    def take(self, key: Key) -> bool:
        """Begin the turn of this deployment if possible; returns whether it has one. It ends with the status update."""
        record = self._deployments.get(key)
        state = _state(record)
        if record is None or state is None or _policy(record) is not RevisionPolicy.LATEST:
            return False
        if state in _TAKEN or key in self._waiting_and_begun():
            return True
        if key not in self.next():
            return False
        self._begun.add(key)
        return True

    def next(self) -> list[Key]:
        """The deployments whose turn can begin now, by namespace and name; none after an update has failed."""
        begun = self._waiting_and_begun()
        records = list(self._taking_turns())
        if any(_state(record) is UpgradeState.FAILED for _, record in records):
            return []
        # A paused update does not replace pods, so it does not block the turns of other deployments.
        updating = sum(_state(record) is UpgradeState.UPDATING and not _is_paused(record) for _, record in records)
        waiting = sorted(key for key, record in records if _can_begin(record) and key not in begun)
        return waiting[: max(self._limit - updating - len(begun), 0)]

    def _waiting_and_begun(self) -> set[Key]:
        self._begun = {key for key in self._begun if _state(self._deployments.get(key)) is UpgradeState.WAITING}
        return self._begun

    def _taking_turns(self) -> Iterator[tuple[Key, DeploymentRecord]]:
        for key, record in self._deployments.upgrading().items():
            if _policy(record) is RevisionPolicy.LATEST and not record.metadata.deletion_timestamp:
                yield key, record


def next_upgrade(
    observed: ObservedState, conditions: tuple[Condition, ...], *, is_served: bool
) -> UpgradeStatus | None:
    """The state of the update after this pass; `is_served`: every replica runs the current revision and is ready.

    After a rollback, all replicas serve, but the update has failed, which the condition Stalled shows.
    """
    known = observed.status.upgrade if observed.status else None
    rollout = observed.deployment.spec.rollout
    if rollout.revision_policy is not RevisionPolicy.LATEST or not (known or observed.is_outdated):
        return None
    if observed.is_outdated and (not observed.has_turn or _is_too_late(observed)):
        return UpgradeStatus(UpgradeState.WAITING, _why_waiting(conditions, paused=rollout.paused))
    if is_served and not observed.is_outdated and not observed.rollback:
        return None
    stalled = _condition(conditions, STALLED)
    if stalled and stalled.status is Truth.TRUE:
        message = clip(f"no other deployment is updated until this is fixed: {stalled.message}")
        return UpgradeStatus(UpgradeState.FAILED, message)
    paused = "; the pods are replaced when spec.rollout.paused is removed" if rollout.paused else ""
    return UpgradeStatus(
        UpgradeState.UPDATING, f"the running version of the operator has rendered the pods again{paused}"
    )


def end_of_turn(observed: ObservedState) -> datetime | None:
    """When a turn ends whose pods wait for a cache, so that others can begin; None without one.

    A turn begins only while the deployment is Ready, so the wait began when it was not Ready any more.
    """
    if not (observed.is_outdated and observed.has_turn):
        return None
    ready = _condition(observed.status.conditions, READY) if observed.status else None
    is_waiting = ready is not None and ready.status is not Truth.TRUE
    since = parse_time(ready.last_transition_time) if ready and is_waiting else None
    return (since or observed.now) + timedelta(seconds=progress_deadline_seconds(observed.deployment.spec))


def _is_too_late(observed: ObservedState) -> bool:
    end = end_of_turn(observed)
    return end is not None and observed.now >= end


def _why_waiting(conditions: tuple[Condition, ...], *, paused: bool) -> str:
    if paused:
        return _WAITING.format("when spec.rollout.paused is removed")
    ready = _condition(conditions, READY)
    if ready is None or ready.status is not Truth.TRUE:
        return _WAITING.format("when all replicas serve")
    return _WAITING.format("after those of other deployments")


def _can_begin(record: DeploymentRecord) -> bool:
    """Whether it is waiting and can be updated. One that does not serve would fail, and thereby block all others."""
    if _state(record) is not UpgradeState.WAITING or isinstance(record.deployment, InvalidSpecError):
        return False
    ready = _condition(record.status.conditions, READY) if record.status else None
    return ready is not None and ready.status is Truth.TRUE and not _is_paused(record)


def _is_paused(record: DeploymentRecord) -> bool:
    return not isinstance(record.deployment, InvalidSpecError) and record.deployment.spec.rollout.paused


def _state(record: DeploymentRecord | None) -> UpgradeState | None:
    status: Status | None = record.status if record else None
    return status.upgrade.state if status and status.upgrade else None


def _policy(record: DeploymentRecord) -> RevisionPolicy:
    deployment = record.deployment
    if isinstance(deployment, InvalidSpecError):
        return RevisionPolicy.PINNED
    return deployment.spec.rollout.revision_policy


def _condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    return next((each for each in conditions if each.type == kind), None)
