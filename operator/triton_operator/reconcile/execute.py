"""Carry out a plan, one write after the other, and remember the results.

Creation never overwrites anything (the API server responds with 409), so an object of somebody else under a child's
name is reported to the user and left alone, unless `adoption` has planned its adoption.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.names import SCALE_MANAGER
from triton_operator.cluster.errors import ClusterError, ConflictError, TerminatingError, UnavailableError
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Child, Key, Kind
from triton_operator.cluster.protocol import Cluster
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.failed_writes import ORPHANED, FailedWrite, judge_error
from triton_operator.reconcile.memory import Applied, Memory, RejectedManifest
from triton_operator.reconcile.plan import Action, Plan, Verb, digest

log = logging.getLogger(__name__)

WRITES_LIMIT = 40.0
"""Seconds for the writes of one pass, so that the status is written before `runtime` ends the pass."""

_STARTS_PODS = frozenset({Kind.DEPLOYMENT, Kind.JOB, Kind.AUTOSCALER, Kind.SCALED_OBJECT})
"""In every plan they come after what their pods need."""

_NEEDED_BY_PODS = frozenset(
    {
        Kind.SERVICE_ACCOUNT,
        Kind.CLAIM,
        Kind.CONFIG_MAP,
        Kind.REVISION,
        Kind.NETWORK_POLICY,
        Kind.CERTIFICATE,
        SharedKind.SECRET,
    }
)

_MOUNTED = frozenset({Kind.CONFIG_MAP, Kind.CLAIM})
"""Kinds that old ReplicaSets may still need."""


class Executor:
    """Writes the children of one deployment (`key`, `uid`) in one pass."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, memory: Memory, key: Key, uid: str) -> None:
        self._cluster = cluster
        self._cache = cache
        self._memory = memory
        self._key = key
        self._uid = uid
        self._deadline = asyncio.get_running_loop().time() + WRITES_LIMIT

    async def execute(self, plan: Plan, failed: Sequence[FailedWrite] = ()) -> list[FailedWrite]:
        """Write and, if all writes succeeded, prune; returns the writes that failed, outages included.

        `failed` are earlier writes that the pods need.
        """
        return await self._write_all(plan.writes, failed) or await self._prune(plan.pruning)

    async def _write_all(self, actions: list[Action], failed: Sequence[FailedWrite] = ()) -> list[FailedWrite]:
        """A failed write does not stop the others: a policy that somebody opened is restored in any case.

        But no pod starts before everything that it needs exists, and if another owner has the name of one child, no
        other child is created: then only the names of the missing ones are checked.
        """
        failures = [*failed]
        for action in actions:
            if any((failure.kind, failure.name) == (action.kind, action.name) for failure in failures):
                continue  # A Deployment must not lose replicas that could not be transferred.
            is_held_back = _is_held_back(action, failures)
            failure = await (self._check_name(action) if is_held_back else self._write_unless_rejected(action))
            if failure:
                failures.append(failure)
        return failures

    async def _prune(self, actions: list[Action]) -> list[FailedWrite]:
        mountable = [action for action in actions if action.kind in _MOUNTED]
        if not mountable:
            return await self._write_all(actions)
        try:
            async with asyncio.timeout_at(self._deadline):
                mounted = await self._cluster.mounted(*self._key)
        except (ClusterError, TimeoutError) as error:
            late = UnavailableError("timed out listing ReplicaSets")
            outage = error if isinstance(error, ClusterError) else late
            others = await self._write_all([action for action in actions if action not in mountable])
            return [judge_error(mountable[0].kind, mountable[0].name, outage), *others]
        return await self._write_all([action for action in actions if (action.kind, action.name) not in mounted])

    async def _write_unless_rejected(self, action: Action) -> FailedWrite | None:
        child_id = (action.kind, action.name)
        rejected = self._memory.rejected.get(child_id)
        if rejected and action.manifest and rejected.digest == digest(action.manifest):
            return rejected.failure
        self._memory.rejected.pop(child_id, None)
        failure = await self._write_in_time(action)
        if failure is None:
            log.info("%s %s %s: %s", action.verb, action.kind, action.name, action.why)
        elif failure.permanent:
            self._memory.rejected[child_id] = RejectedManifest(digest(action.manifest), failure)
        return failure

    async def _write_in_time(self, action: Action) -> FailedWrite | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                failure = await self._write(action)
        except TerminatingError:
            raise  # The deployment is deleted with its namespace, so nobody reads its status.
        except ClusterError as error:
            failure = judge_error(action.kind, action.name, error)
        except TimeoutError:
            late = UnavailableError("the writes of this attempt timed out before this one was completed")
            failure = judge_error(action.kind, action.name, late)
        return failure._replace(missing=action.verb in {Verb.CREATE, Verb.RECREATE}) if failure else None

    async def _write(self, action: Action) -> FailedWrite | None:
        match action.verb:
            case Verb.CREATE:
                return await self._create(action)
            case Verb.ADOPT:
                adopt = self._cluster.adopt
                child = await adopt(action.manifest, uid=action.uid, resource_version=action.resource_version)
                self._remember(action, child)
            case Verb.APPLY:
                self._remember(action, await self._cluster.apply(action.manifest, uid=action.uid))
            case Verb.REPLACE:
                self._remember(action, await self._force_replace(action))
            case Verb.RECREATE:
                await self._cluster.delete(action.kind, self._key[0], action.name, uid=action.uid)
                return await self._create(action)
            case Verb.TRANSFER_REPLICAS:
                child = await self._cluster.apply(action.manifest, uid=action.uid, manager=SCALE_MANAGER)
                self._cache.children.put(child)
            case Verb.DELETE:
                await self._cluster.delete(action.kind, self._key[0], action.name, uid=action.uid)
                self._memory.applied.pop((action.kind, action.name), None)
        return None

    async def _create(self, action: Action) -> FailedWrite | None:
        try:
            self._remember(action, await self._cluster.create(action.manifest))
        except ConflictError as conflict:
            return await self._examine_conflict(action, conflict)
        return None

    async def _examine_conflict(self, action: Action, conflict: ConflictError) -> FailedWrite | None:
        """The name is in use: by the deployment's child (the cache was behind), or by an object of another owner."""
        child = await self._cluster.get(action.kind, self._key[0], action.name)
        if child is None:
            raise conflict  # From a webhook, or from a quota that others used at the same moment.
        if failure := self._judge_owner(child):
            return failure
        self._cache.children.put(msgspec.structs.replace(child, deployment=self._key[1]))
        raise ConflictError(f"{action.kind} {action.name} exists already and was not in the cache", status=409)

    async def _check_name(self, action: Action) -> FailedWrite | None:
        """Check only whether the name is free; the write that failed before has reported any outage."""
        if action.verb is not Verb.CREATE:
            return None
        try:
            async with asyncio.timeout_at(self._deadline):
                child = await self._cluster.get(action.kind, self._key[0], action.name)
        except (ClusterError, TimeoutError) as error:
            log.warning("cannot check whether %s %s exists: %s", action.kind, action.name, error)
            return None
        return self._judge_owner(child) if child else None

    def _judge_owner(self, child: Child) -> FailedWrite | None:
        """None if the object is the deployment's; children of a deleted one of the same name are garbage-collected."""
        if child.owner_uid == self._uid:
            return None
        owner = child.deployment if child.owner_uid else ""
        reason = Reason.WAITING_FOR_DELETION if owner == self._key[1] else Reason.NAME_CONFLICT
        hint = ORPHANED if child.deployment == self._key[1] and not child.owner_uid else ""
        return FailedWrite(child.kind, child.name, reason, hint, taken=True, owner=owner)

    async def _force_replace(self, action: Action) -> Child:
        """Apply first, so that the operator owns every desired field again; replace only if foreign fields remain."""
        child = await self._cluster.apply(action.manifest, uid=action.uid)
        return await self._cluster.replace(action.manifest, uid=action.uid) if child.has_foreign_fields else child

    def _remember(self, action: Action, child: Child) -> None:
        self._cache.children.put(child)
        self._memory.applied[action.kind, action.name] = Applied(child.uid, digest(action.manifest), child.fingerprint)


def _is_held_back(action: Action, failures: list[FailedWrite]) -> bool:
    if action.verb in {Verb.CREATE, Verb.ADOPT}:
        return any(failure.taken for failure in failures) or (bool(failures) and action.kind in _STARTS_PODS)
    needed = any(failure.missing and failure.kind in _NEEDED_BY_PODS for failure in failures)
    return needed and action.kind in _STARTS_PODS
