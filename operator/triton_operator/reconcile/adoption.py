"""Adopt children that have lost their owner, if `spec.adopt` is Matching and their content is what we would create.

Input: a plan that creates children whose names such objects have. Output: the plan with adoptions in their place, and
what prevents an adoption. If one object differs, no child is adopted or created. See decision 0041.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import orjson

from triton_operator.api.conditions import Reason
from triton_operator.cluster.adoptable import PREVIEWED, differences
from triton_operator.cluster.errors import ClusterError, InvalidObjectError, UnavailableError
from triton_operator.cluster.observed import Child
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.failed_writes import FailedWrite, judge_error
from triton_operator.reconcile.memory import Memory, RefusedAdoption
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.plan import Action, Plan, Verb, digest
from triton_operator.reconcile.refused_adoptions import describe_paths

log = logging.getLogger(__name__)

READ_LIMIT = 20.0
"""Seconds for reading and comparing all objects of a deployment, so that the status is written in time."""

_ORPHANED = "content is that of a child without owner"


class _Examined(NamedTuple):
    """The write of one child after its object was compared, or what prevents it."""

    action: Action
    failure: FailedWrite | None = None


class Adoption:
    """Compares orphans with manifests through `cluster`; the executor writes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def plan(self, plan: Plan, observed: ObservedState, memory: Memory) -> tuple[Plan, list[FailedWrite]]:
        """The plan with adoptions in place of creations, and a failure for each object that must not be adopted."""
        orphans = observed.orphans
        if not any(action.verb is Verb.CREATE and (action.kind, action.name) in orphans for action in plan.writes):
            return plan, []
        deadline = asyncio.get_running_loop().time() + READ_LIMIT
        examined = []
        for action in plan.writes:
            orphan = orphans.get((action.kind, action.name)) if action.verb is Verb.CREATE else None
            examined.append(await self._examine(action, orphan, memory, deadline) if orphan else _Examined(action))
        failures = [each.failure for each in examined if each.failure]
        return plan._replace(writes=[each.action for each in examined]), failures

    async def _examine(self, action: Action, orphan: Child, memory: Memory, deadline: float) -> _Examined:
        if orphan.deleting:
            return _Examined(action, _waiting(orphan))
        known = memory.refused.get((action.kind, action.name))
        content = digest(action.manifest)
        if known and known[:3] == (orphan.uid, orphan.fingerprint, content):
            return _Examined(action, _refusal(orphan, known.differences))
        try:
            async with asyncio.timeout_at(deadline):
                examined, found = await self._compare(action)
        except ClusterError as error:
            return _Examined(action, judge_error(action.kind, action.name, error))
        except TimeoutError:
            late = UnavailableError("timed out comparing objects without owner with what the operator creates")
            return _Examined(action, judge_error(action.kind, action.name, late))
        if found:
            memory.refused[action.kind, action.name] = RefusedAdoption(orphan.uid, orphan.fingerprint, content, found)
            return _Examined(action, _refusal(orphan, found))
        memory.refused.pop((action.kind, action.name), None)
        return _Examined(examined)

    async def _compare(self, action: Action) -> tuple[Action, tuple[str, ...]]:
        """The adoption of the live object, and what differs; the creation if there is no object any more."""
        body = await self._cluster.read(action.kind, action.manifest["metadata"]["namespace"], action.name)
        if body is None:
            return action, ()
        live = orjson.loads(body)
        previewed = None
        if action.kind in PREVIEWED:
            try:
                previewed = await self._cluster.preview(action.manifest, live)
            except InvalidObjectError as error:  # An immutable field differs; the API server names it.
                return action, (error.message,)
        found = differences(action.manifest, live, previewed)
        version, uid = live["metadata"]["resourceVersion"], live["metadata"]["uid"]
        adoption = action._replace(verb=Verb.ADOPT, why=_ORPHANED, uid=uid, resource_version=version)
        return adoption, tuple(found)


def _refusal(orphan: Child, found: tuple[str, ...]) -> FailedWrite:
    if orphan.owner_uid:
        return _waiting(orphan)
    paths = describe_paths(found)
    return FailedWrite(orphan.kind, orphan.name, Reason.ADOPTION_REFUSED, paths, taken=True)


def _waiting(orphan: Child) -> FailedWrite:
    """The garbage collector removes what belongs to a deleted object."""
    owner = orphan.deployment
    return FailedWrite(orphan.kind, orphan.name, Reason.WAITING_FOR_DELETION, "", taken=True, owner=owner)
