"""Carry out a plan, one write after the other, and remember what came of it.

The only code that takes over or refuses an object: creation can never hit what exists (the API server answers 409), so
a name that somebody else uses is told to the user and left alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.names import SCALE_MANAGER
from triton_operator.cluster.errors import ClusterError, ConflictError, TerminatingError, UnavailableError
from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.plan import Applied, Step, Verb, digest
from triton_operator.reconcile.refusals import Refusal, judge_error
from triton_operator.reconcile.store import ChildId, Key, Store

log = logging.getLogger(__name__)

_STARTS_PODS = frozenset({Kind.DEPLOYMENT, Kind.JOB, Kind.AUTOSCALER})
"""What their pods need comes before them in every plan."""

_NEEDED_BY_PODS = frozenset({Kind.SERVICE_ACCOUNT, Kind.CLAIM, Kind.CONFIG_MAP, Kind.REVISION, Kind.NETWORK_POLICY})


class Refused(NamedTuple):
    """A manifest that the API server will refuse however often it is sent."""

    digest: str
    refusal: Refusal


class Target(NamedTuple):
    """On whose behalf steps are done, and where their results are remembered.

    `refused` are manifests that are not sent again; `deadline` is the time of the event loop at which writes end.
    """

    key: Key
    uid: str
    cluster: Cluster
    store: Store
    applied: dict[ChildId, Applied]
    refused: dict[ChildId, Refused]
    deadline: float


async def execute(steps: list[Step], target: Target) -> list[Refusal]:
    """Do the steps in order, and return those that could not be done, outages included.

    One that fails does not keep others from being done: a policy that somebody opened is closed again even while
    something else is refused. But no pod starts before all that it needs is there, and nothing is created beside an
    object that somebody else made: then only the names of what is missing are checked.
    """
    refusals: list[Refusal] = []
    for step in steps:
        if any((refusal.kind, refusal.name) == (step.kind, step.name) for refusal in refusals):
            continue  # A Deployment whose replicas were not handed over must not lose them.
        refusal = await (_check_name(step, target) if _is_held_back(step, refusals) else _try(step, target))
        if refusal:
            refusals.append(refusal)
    return refusals


def _is_held_back(step: Step, refusals: list[Refusal]) -> bool:
    if step.verb is Verb.CREATE:
        return any(refusal.taken for refusal in refusals) or (bool(refusals) and step.kind in _STARTS_PODS)
    needed = any(refusal.missing and refusal.kind in _NEEDED_BY_PODS for refusal in refusals)
    return needed and step.kind in _STARTS_PODS


async def _try(step: Step, target: Target) -> Refusal | None:
    child_id = (step.kind, step.name)
    known = target.refused.get(child_id)
    if known and step.manifest and known.digest == digest(step.manifest):
        return known.refusal
    target.refused.pop(child_id, None)
    refusal = await _within_the_time(step, target)
    if refusal is None:
        log.info("%s %s %s: %s", step.verb, step.kind, step.name, step.why)
    elif refusal.lasting:
        target.refused[child_id] = Refused(digest(step.manifest), refusal)
    return refusal


async def _within_the_time(step: Step, target: Target) -> Refusal | None:
    try:
        async with asyncio.timeout_at(target.deadline):
            refusal = await _do(step, target)
    except TerminatingError:
        raise  # The deployment is about to go with its namespace: nobody reads a status about it.
    except ClusterError as error:
        refusal = judge_error(step.kind, step.name, error)
    except TimeoutError:
        late = UnavailableError("the writes of this attempt took too long, so that this one was not completed")
        refusal = judge_error(step.kind, step.name, late)
    return refusal._replace(missing=step.verb is Verb.CREATE) if refusal else None


async def _check_name(step: Step, target: Target) -> Refusal | None:
    """Only see whether the name is free; an outage is reported by the write that failed before."""
    if step.verb is not Verb.CREATE:
        return None
    try:
        async with asyncio.timeout_at(target.deadline):
            child = await target.cluster.get(step.kind, target.key[0], step.name)
    except (ClusterError, TimeoutError) as error:
        log.warning("whether %s %s exists cannot be told: %s", step.kind, step.name, error)
        return None
    return _judge_owner(child, target) if child else None


def _judge_owner(child: Child, target: Target) -> Refusal | None:
    """None when the object is ours; otherwise what is in the way. Children of a dead namesake go by themselves."""
    if child.owner_uid == target.uid:
        return None
    owner = child.deployment if child.owner_uid else ""
    reason = Reason.WAITING_FOR_DELETION if owner == target.key[1] else Reason.NAME_CONFLICT
    return Refusal(child.kind, child.name, reason, "", taken=True, owner=owner)


async def _do(step: Step, target: Target) -> Refusal | None:
    match step.verb:
        case Verb.CREATE:
            return await _create(step, target)
        case Verb.APPLY:
            _remember(step, await target.cluster.apply(step.manifest, uid=step.uid), target)
        case Verb.REPLACE:
            _remember(step, await _force_replace(step, target.cluster), target)
        case Verb.HAND_OVER:
            target.store.put_child(await target.cluster.apply(step.manifest, uid=step.uid, manager=SCALE_MANAGER))
        case Verb.DELETE:
            await target.cluster.delete(step.kind, target.key[0], step.name, uid=step.uid)
            target.applied.pop((step.kind, step.name), None)
    return None


async def _create(step: Step, target: Target) -> Refusal | None:
    try:
        _remember(step, await target.cluster.create(step.manifest), target)
    except ConflictError as refused:
        return await _name_taken(step, target, refused)
    return None


async def _name_taken(step: Step, target: Target, refused: ConflictError) -> Refusal | None:
    """Something of that name exists: ours (the cache was behind), that of another ModelDeployment, or a stranger's."""
    child = await target.cluster.get(step.kind, target.key[0], step.name)
    if child is None:
        raise refused  # by a webhook, or a quota that others count at the same moment
    if refusal := _judge_owner(child, target):
        return refusal
    target.store.put_child(msgspec.structs.replace(child, deployment=target.key[1]))
    message = f"{step.kind} {step.name} was there unseen; looking again"
    raise ConflictError(message, status=409)


async def _force_replace(step: Step, cluster: Cluster) -> Child:
    """Apply first, so that every field we name is ours again; replace only if something foreign is left then."""
    child = await cluster.apply(step.manifest, uid=step.uid)
    return await cluster.replace(step.manifest, uid=step.uid) if child.foreign else child


def _remember(step: Step, child: Child, target: Target) -> None:
    target.store.put_child(child)
    target.applied[step.kind, step.name] = Applied(child.uid, digest(step.manifest), child.fingerprint)
