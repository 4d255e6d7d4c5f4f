"""One pass over one ModelDeployment: observe, build, plan, execute, derive and write its status.

`runtime` calls `reconcile` from its work queue, never twice at once for the same key. User mistakes end in the status;
outages raise ClusterError, and the queue tries again for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from triton_operator.api.errors import InvalidSpec
from triton_operator.api.spec import ModelDeployment, ModelRepository, Spec
from triton_operator.api.status import Status
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.execute import Blocked, Target, execute
from triton_operator.reconcile.history import current_revision, kept_for_rollback, revision_number
from triton_operator.reconcile.observation import (
    PENDING_GRACE,
    Observation,
    is_hanging,
    own,
    read_pod_events,
)
from triton_operator.reconcile.plan import (
    Applied,
    Manifest,
    hand_over_step,
    identity,
    make_plan,
    plan_pruning,
    superfluous,
)
from triton_operator.reconcile.replicas import decide_replicas
from triton_operator.reconcile.situation import assess
from triton_operator.reconcile.status import derive_status
from triton_operator.reconcile.store import ChildId, Key, Known, Store
from triton_operator.reconcile.transitions import announce
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import build_children, render_new_revision
from triton_operator.resources.revision import Revision, inputs_hash
from triton_operator.resources.settings import Settings

log = logging.getLogger(__name__)

BLOCKED_RETRY_SECONDS = 15.0
"""Objects in our way bear no label of ours, so no watch tells when they go."""


def utc_now() -> datetime:
    """The real clock; tests pass their own."""
    return datetime.now(UTC)


_EMPTY_SPEC = Spec(model_repository=ModelRepository(), models=())
"""Stands in for a spec that cannot be read."""


class Outcome(NamedTuple):
    """What came of making the children as wanted."""

    blocked: Blocked | None
    revision: Revision | None


class Reconciler:
    """Brings the cluster to what ModelDeployments say, one at a time."""

    def __init__(
        self, cluster: Cluster, store: Store, settings: Settings, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._clock = clock
        self._applied: dict[Key, dict[ChildId, Applied]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Work on one deployment; returns the seconds after which it wants to be looked at again, if any."""
        known = self._store.view(key).known
        if known is None or known.metadata.deletion_timestamp:
            self._applied.pop(key, None)
            return None
        if isinstance(known.deployment, InvalidSpec):
            return await self._report_unreadable(key, known, known.deployment)
        outcome = await self._make_children(key, known.deployment)
        observation = await self._observe(key, known.deployment, with_events=True)
        await self._write_status(key, observation, outcome)
        return _look_again(observation, outcome.blocked)

    async def _make_children(self, key: Key, deployment: ModelDeployment) -> Outcome:
        observation = await self._observe(key, deployment)
        found = current_revision(observation)
        try:
            validate(deployment.spec)
            revision = self._revision_for(deployment, found)
        except InvalidSpec as error:
            return Outcome(Blocked(error.reason, str(error)), found)
        return Outcome(await self._execute(key, observation, revision), revision)

    def _revision_for(self, deployment: ModelDeployment, found: Revision | None) -> Revision:
        """What is in the cluster, as long as nothing that touches pods changed: an upgrade rolls no pod."""
        if found and found.inputs_hash == inputs_hash(deployment.spec):
            return found
        return render_new_revision(deployment, self._settings)

    async def _execute(self, key: Key, observation: Observation, revision: Revision) -> Blocked | None:
        deployment = observation.deployment
        live = observation.deployment_child
        decision = decide_replicas(deployment, observation.deployment_state)
        number = revision_number(observation, revision)
        wanted = build_children(deployment, revision, number=number, replicas=decision.apply)
        applied = self._applied.setdefault(key, {})
        steps = [hand_over_step(live, decision.hand_over)] if live and decision.hand_over is not None else []
        steps += make_plan(wanted, observation.owned, applied)
        target = Target(key, deployment.metadata.uid, self._cluster, self._store, applied)
        return await execute(steps, target) or await self._prune(target, wanted, observation)

    async def _prune(self, target: Target, wanted: list[Manifest], observation: Observation) -> Blocked | None:
        if not superfluous(wanted, observation.owned):
            return None
        current = next(name for kind, name in map(identity, wanted) if kind is Kind.REVISION)
        steps = plan_pruning(wanted, observation.owned, kept_for_rollback(observation, current))
        if any(step.kind is Kind.CONFIG_MAP for step in steps):
            in_use = await self._cluster.configs_in_use(*target.key)
            steps = [step for step in steps if step.kind is not Kind.CONFIG_MAP or step.name not in in_use]
        return await execute(steps, target)

    async def _observe(self, key: Key, deployment: ModelDeployment, *, with_events: bool = False) -> Observation:
        view = self._store.view(key)
        uids = frozenset(applied.uid for applied in self._applied.get(key, {}).values())
        owned = own(view, deployment, uids)
        now = self._clock()
        events = await read_pod_events(self._cluster, view.pods, now) if with_events else {}
        previous = view.known.status if view.known else None
        return Observation(deployment, previous, owned, view.pods, events, now)

    async def _report_unreadable(self, key: Key, known: Known, error: InvalidSpec) -> float | None:
        """An object that an older CRD let through: nothing of it is touched, only its status says why."""
        shell = ModelDeployment(metadata=known.metadata, spec=_EMPTY_SPEC)
        observation = await self._observe(key, shell)
        await self._write_status(key, observation, Outcome(Blocked(error.reason, str(error)), None))
        return None

    async def _write_status(self, key: Key, observation: Observation, outcome: Outcome) -> None:
        status = derive_status(assess(observation, outcome.blocked, outcome.revision))
        if status == observation.previous:
            return
        uid = observation.deployment.metadata.uid
        version = await self._cluster.write_status(*key, uid, status)
        self._store.remember_status(key, uid, status, version)
        await self._announce(key, uid, observation.previous, status)

    async def _announce(self, key: Key, uid: str, old: Status | None, new: Status) -> None:
        """Events are a courtesy: the status has said it all, so a lost one is not worth a second pass."""
        for news in announce(old, new):
            try:
                await self._cluster.post_event(
                    *key, uid, type=news.type, reason=news.reason, message=news.message, action="Reconcile"
                )
            except ClusterError as error:
                log.warning("event %s of %s/%s is lost: %s", news.reason, *key, error)


def _look_again(observation: Observation, blocked: Blocked | None) -> float | None:
    """Nobody tells us when a stranger's object goes, or when the kubelet has written an Event."""
    if blocked:
        return BLOCKED_RETRY_SECONDS
    if any(is_hanging(pod) for pod in observation.pods):
        return PENDING_GRACE.total_seconds()
    return None
