"""Make the children of a deployment what they should be, and remember what was applied.

The reconciler hands in what it observed and learns what blocked it, if anything, and which revision pods run. Between
changes this costs no more than a comparison: nothing is built as long as nothing that a plan depends on has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.errors import ClusterError, UnavailableError
from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.protocol import Cluster, Manifest
from triton_operator.reconcile.caching import Caching, decide_caching, guards
from triton_operator.reconcile.execute import Refused, Target, execute
from triton_operator.reconcile.history import current_revision, kept_for_rollback, revision_number
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState, own
from triton_operator.reconcile.plan import (
    Applied,
    Step,
    identity,
    is_as_applied,
    make_plan,
    plan_pruning,
    recognize,
    superfluous,
    transfer_replicas_step,
)
from triton_operator.reconcile.refusals import Blocked, Refusal, judge_error, outage_of, summarize
from triton_operator.reconcile.replicas import ReplicaDecision, decide_replicas
from triton_operator.reconcile.store import ChildId, Key, Store
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import build_children, render_new_revision, without_pods
from triton_operator.resources.cache import build_cache
from triton_operator.resources.revision import Revision, RevisionSummary, inputs_hash
from triton_operator.resources.settings import Settings

WRITES_LIMIT = 40.0
"""Seconds that the writes of one pass may take, so that the status is written before `runtime` ends the pass."""

_MOUNTED = frozenset({Kind.CONFIG_MAP, Kind.CLAIM})
"""Kinds that old ReplicaSets may still need."""


class Outcome(NamedTuple):
    """What came of it: why it could not be done, if so, what the pods are made from, and whether all is as wanted.

    `outage` is what the work queue has to learn of once the status is written; `is_passing` says that the next attempt
    is likely to succeed.
    """

    blocked: Blocked | None
    revision: RevisionSummary | None
    settled: bool = False
    outage: ClusterError | None = None
    is_passing: bool = False


class Sight(NamedTuple):
    """All that a plan depends on; two equal ones lead to the same plan."""

    deployment: ModelDeployment
    children: Mapping[ChildId, tuple[object, ...]]
    decision: ReplicaDecision
    caching: Caching | None


class Goal(NamedTuple):
    """The revision that pods are to run, and the newest one in the cluster."""

    revision: Revision
    found: Revision | None

    @property
    def is_reached(self) -> bool:
        """Whether it is in the cluster, so that its pods may be, too."""
        return self.revision is self.found


class Settled(NamedTuple):
    """A sight under which there was nothing to do."""

    sight: Sight
    revision: RevisionSummary


class Children:
    """Keeps the children of all deployments; `applied_uids` tells which objects are known to be ours."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._applied: dict[Key, dict[ChildId, Applied]] = {}
        self._refused: dict[Key, dict[ChildId, Refused]] = {}
        self._settled: dict[Key, Settled] = {}

    def applied_uids(self, key: Key) -> frozenset[str]:
        """Objects that this process has applied for the deployment."""
        return frozenset(applied.uid for applied in self._applied.get(key, {}).values())

    def forget(self, key: Key) -> None:
        """The deployment is gone."""
        self._applied.pop(key, None)
        self._refused.pop(key, None)
        self._settled.pop(key, None)

    async def reconcile_children(self, key: Key, observation: ObservedState) -> Outcome:
        """One pass. Mistakes in the spec and outages end in the outcome; raises TerminatingError alone."""
        sight = _look(observation)
        settled = self._settled.get(key)
        if settled and settled.sight == sight:
            return Outcome(None, settled.revision, settled=True)
        found = current_revision(observation)
        try:
            validate(observation.deployment.spec)
            revision = self._revision_for(observation.deployment, found)
        except InvalidSpecError as error:
            blocked = Blocked(error.reason, str(error), lasting=True)
            return await self._keep(key, sight, observation, found, blocked)
        return await self._converge(key, observation, Goal(revision, found), sight)

    async def _keep(
        self, key: Key, sight: Sight, observation: ObservedState, found: Revision | None, blocked: Blocked
    ) -> Outcome:
        """A spec that cannot be followed changes no pod, but what runs is still kept from other hands."""
        if found is None:
            return Outcome(blocked, None)
        target = self._target(key, observation)
        wanted = _build(observation, found, sight.decision)
        target.applied.update(recognize(wanted, observation.owned, target.applied))
        steps = make_plan(wanted, observation.owned, target.applied)
        refusals = await execute(steps, target)
        also = summarize(refusals, key[0])
        if also:
            blocked = also._replace(reason=blocked.reason, message=join(blocked.message, also.message))
        return Outcome(blocked, found.summary(), outage=outage_of(refusals))

    def _target(self, key: Key, observation: ObservedState) -> Target:
        return Target(
            key,
            observation.deployment.metadata.uid,
            self._cluster,
            self._store,
            self._applied.setdefault(key, {}),
            self._refused.setdefault(key, {}),
            asyncio.get_running_loop().time() + WRITES_LIMIT,
        )

    def _revision_for(self, deployment: ModelDeployment, found: Revision | None) -> Revision:
        """What is in the cluster, as long as nothing that touches pods changed: an upgrade rolls no pod."""
        if found and found.inputs_hash == inputs_hash(deployment.spec):
            return found
        return render_new_revision(deployment, self._settings)

    async def _converge(self, key: Key, observation: ObservedState, goal: Goal, sight: Sight) -> Outcome:
        wanted = self._wanted(observation, goal, sight)
        target = self._target(key, observation)
        target.applied.update(recognize(wanted, observation.owned, target.applied))
        steps = _handing_over(observation, sight.decision) + make_plan(wanted, observation.owned, target.applied)
        pruning = _pruning(wanted, observation)
        refusals = await execute(steps, target) or await self._prune(pruning, target)
        settled = not refusals and self._settle(key, observation, wanted, goal.revision.summary())
        return Outcome(
            summarize(refusals, key[0]),
            goal.revision.summary(),
            settled,
            outage=outage_of(refusals),
            is_passing=all(refusal.is_passing for refusal in refusals),
        )

    def _wanted(self, observation: ObservedState, goal: Goal, sight: Sight) -> list[Manifest]:
        """Every child. Pods of a new revision wait for its cache; meanwhile those that are there stay as they are."""
        caching = sight.caching
        if caching is None:
            return _build(observation, goal.revision, sight.decision)
        cache = build_cache(observation.deployment, caching.generation, self._settings.operator_image)
        if caching.generation.filled or goal.is_reached:
            return _build(observation, goal.revision, sight.decision, cache)
        if goal.found:
            return _build(observation, goal.found, sight.decision, cache)
        return without_pods(_build(observation, goal.revision, sight.decision, cache))

    def _settle(self, key: Key, observation: ObservedState, wanted: list[Manifest], revision: RevisionSummary) -> bool:
        """Remember that there is nothing to do, if all is as it was in the answers to our own writes."""
        owned = own(self._store.view(key), observation.deployment, self.applied_uids(key))
        after = observation._replace(owned=owned)
        sight = _look(after)
        settled = (
            owned.keys() == {identity(body) for body in wanted}
            and is_as_applied(owned, self._applied[key])
            and _has_its_replicas(after, sight.decision)
        )
        if settled:
            self._settled[key] = Settled(sight, revision)
        return settled

    async def _prune(self, steps: list[Step], target: Target) -> list[Refusal]:
        mounted = [step for step in steps if step.kind in _MOUNTED]
        if not mounted:
            return await execute(steps, target)
        try:
            async with asyncio.timeout_at(target.deadline):
                in_use = await self._cluster.mounted(*target.key)
        except (ClusterError, TimeoutError) as error:
            outage = (
                error if isinstance(error, ClusterError) else UnavailableError("ReplicaSets cannot be listed in time")
            )
            others = await execute([step for step in steps if step not in mounted], target)
            return [judge_error(mounted[0].kind, mounted[0].name, outage), *others]
        return await execute([step for step in steps if (step.kind, step.name) not in in_use], target)


def _build(
    observation: ObservedState, revision: Revision, decision: ReplicaDecision, cache: Sequence[Manifest] = ()
) -> list[Manifest]:
    number = revision_number(observation, revision)
    return build_children(observation.deployment, revision, number=number, replicas=decision.apply, cache=cache)


def _pruning(wanted: list[Manifest], observation: ObservedState) -> list[Step]:
    if not superfluous(wanted, observation.owned):
        return []
    current = next((name for kind, name in map(identity, wanted) if kind is Kind.REVISION), "")
    return plan_pruning(wanted, observation.owned, kept_for_rollback(observation, current) | guards(observation))


def _look(observation: ObservedState) -> Sight:
    children = {child_id: _content(child) for child_id, child in observation.owned.items()}
    replicas = decide_replicas(observation.deployment, observation.deployment_state)
    return Sight(observation.deployment, children, replicas, decide_caching(observation))


def _content(child: Child) -> tuple[object, ...]:
    """What of a child matters to a plan: not its status."""
    replicas = getattr(child.state, "replicas", None)
    return child.uid, child.fingerprint, child.owner_uid, child.foreign, child.deleting, replicas


def _has_its_replicas(observation: ObservedState, decision: ReplicaDecision) -> bool:
    state = observation.deployment_state
    return decision.transfer_replicas is None and state is not None and decision.apply in {None, state.replicas}


def _handing_over(observation: ObservedState, decision: ReplicaDecision) -> list[Step]:
    live = observation.deployment_child
    if live is None or decision.transfer_replicas is None:
        return []
    return [transfer_replicas_step(live, decision.transfer_replicas)]
