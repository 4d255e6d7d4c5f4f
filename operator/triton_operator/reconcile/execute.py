"""Carry out a plan, one write after the other, and remember what came of it.

The only code that takes over or refuses an object: creation can never hit what exists (the API server answers 409), so
a name that somebody else uses is told to the user and left alone.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.names import SCALE_MANAGER
from triton_operator.cluster.errors import Conflict, Denied, Invalid, Terminating
from triton_operator.cluster.observed import Child
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.plan import Applied, Step, Verb, digest
from triton_operator.reconcile.store import ChildId, Key, Store

log = logging.getLogger(__name__)


class Blocked(NamedTuple):
    """Why the children cannot be as wanted; becomes Accepted=False."""

    reason: str
    message: str


class Target(NamedTuple):
    """On whose behalf steps are done, and where their results are remembered."""

    key: Key
    uid: str
    cluster: Cluster
    store: Store
    applied: dict[ChildId, Applied]


async def execute(steps: list[Step], target: Target) -> Blocked | None:
    """Do the steps in order; says why of the first that cannot be done. Outages raise ClusterError.

    After that one nothing new is made, but what exists is still repaired: a policy that somebody opened is closed again
    even while something else is refused.
    """
    first: Blocked | None = None
    for step in steps:
        if first and step.verb is Verb.CREATE:
            continue
        blocked = await _try(step, target)
        first = first or blocked
        if not blocked:
            log.info("%s %s %s: %s", step.verb, step.kind, step.name, step.why)
    return first


async def _try(step: Step, target: Target) -> Blocked | None:
    try:
        return await _do(step, target)
    except Terminating:
        raise  # The deployment is about to go with its namespace: nobody reads a status about it.
    except Invalid as error:
        return Blocked(Reason.INVALID_SPEC, f"the API server refuses the {step.kind}: {error.message}")
    except Denied as error:
        reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in error.message else Reason.FORBIDDEN
        return Blocked(reason, f"the API server forbids the {step.kind}: {error.message}")


def judge_owner(child: Child, owner_uid: str) -> Blocked | None:
    """None when the object is ours; otherwise what is in the way."""
    if child.owner_uid == owner_uid:
        return None
    if child.owner_uid:
        return Blocked(
            Reason.WAITING_FOR_DELETION,
            f"{child.kind} {child.name} still belongs to a deleted ModelDeployment of the same name; "
            "it is created anew as soon as the garbage collector has removed it",
        )
    return Blocked(
        Reason.NAME_CONFLICT,
        f"a {child.kind} named {child.name} exists and is not ours; it is left as it is. "
        f"Rename the ModelDeployment, or delete that {child.kind}",
    )


async def _do(step: Step, target: Target) -> Blocked | None:
    match step.verb:
        case Verb.CREATE:
            return await _create(step, target)
        case Verb.APPLY:
            _remember(step, await target.cluster.apply(step.manifest, uid=step.uid), target)
        case Verb.REPLACE:
            _remember(step, await _take_back(step, target.cluster), target)
        case Verb.HAND_OVER:
            target.store.put_child(await target.cluster.apply(step.manifest, uid=step.uid, manager=SCALE_MANAGER))
        case Verb.DELETE:
            await target.cluster.delete(step.kind, target.key[0], step.name, uid=step.uid)
            target.applied.pop((step.kind, step.name), None)
    return None


async def _create(step: Step, target: Target) -> Blocked | None:
    try:
        _remember(step, await target.cluster.create(step.manifest), target)
    except Conflict:
        return await _name_taken(step, target)
    return None


async def _name_taken(step: Step, target: Target) -> Blocked | None:
    """Something of that name exists: ours (the cache was behind), a dead namesake's, or a stranger's."""
    child = await target.cluster.get(step.kind, target.key[0], step.name)
    blocked = judge_owner(child, target.uid) if child else None
    if blocked:
        return blocked
    if child:
        target.store.put_child(msgspec.structs.replace(child, deployment=target.key[1]))
    message = f"{step.kind} {step.name} was there unseen; looking again"
    raise Conflict(message, status=409)


async def _take_back(step: Step, cluster: Cluster) -> Child:
    """Apply first, so that every field we name is ours again; replace only if something foreign is left then."""
    child = await cluster.apply(step.manifest, uid=step.uid)
    return await cluster.replace(step.manifest, uid=step.uid) if child.foreign else child


def _remember(step: Step, child: Child, target: Target) -> None:
    target.store.put_child(child)
    target.applied[step.kind, step.name] = Applied(child.uid, digest(step.manifest), child.fingerprint)
