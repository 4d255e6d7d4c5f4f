"""One pass over one ModelDeployment: observe, reconcile its children, derive and write its status.

`runtime` calls `reconcile` from its work queue, never twice at once for the same key. Every pass ends with the status.
User mistakes end there; outages are raised as ClusterError afterwards, and the queue retries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.status import Status
from triton_operator.cluster.deployment_cache import DeploymentRecord
from triton_operator.cluster.errors import ClusterError, NotFoundError, TerminatingError
from triton_operator.cluster.object_cache import ObjectCache, Snapshot
from triton_operator.cluster.observed import Key
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.assessment import assess
from triton_operator.reconcile.canary_decision import with_canary
from triton_operator.reconcile.certificate_caches import CertificateCaches, IssuerContext
from triton_operator.reconcile.certificates import NEVER, CertificateStep
from triton_operator.reconcile.children import ChildReconciler, ChildrenResult
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.issuance import pending_request, read_request_events
from triton_operator.reconcile.memory import Converged, Memory, plan_input
from triton_operator.reconcile.next_pass import next_pass_delay
from triton_operator.reconcile.observed_state import ObservedState, find_stuck, observe, read_events
from triton_operator.reconcile.other_autoscalers import find_other_autoscalers
from triton_operator.reconcile.rollback import with_rollback
from triton_operator.reconcile.rollout import next_room
from triton_operator.reconcile.status import derive_status
from triton_operator.reconcile.transitions import events_for
from triton_operator.reconcile.upgrades import Upgrades
from triton_operator.resources.settings import Settings

log = logging.getLogger(__name__)

EVENTS_LIMIT = 5.0
"""Seconds for reading the Events of what is stuck."""


def utc_now() -> datetime:
    """The real clock; tests pass their own."""
    return datetime.now(UTC)


_EMPTY_SPEC = Spec(model_repository=ModelRepository(), models=())
"""Stands in for a spec that cannot be read."""


class Reconciler:
    """Brings the cluster to what ModelDeployments specify, one deployment per call."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ObjectCache,
        settings: Settings,
        clock: Callable[[], datetime] = utc_now,
        *,
        issuer: IssuerContext | None = None,
        wake: Callable[[Key], None] = lambda _: None,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock
        self._children = ChildReconciler(cluster, cache, settings)
        self._certificates = CertificateStep(cluster, cache, issuer or IssuerContext(CertificateCaches()), clock)
        self._memories: dict[Key, Memory] = {}
        self._upgrades = Upgrades(cache.deployments, settings.max_concurrent_upgrades)
        self._wake = wake
        self._fetching = settings.fetching

    async def reconcile(self, key: Key) -> float | None:
        """Run one pass; returns the seconds until the next one, None if only a change is a reason for one."""
        self._cache.children.begin_pass(key)
        record = self._cache.deployments.get(key)
        if record is None or record.metadata.deletion_timestamp:
            self._memories.pop(key, None)
            self._wake_next()
            return None
        memory = self._recall(key, record.metadata.uid)
        delay = None
        if isinstance(record.deployment, InvalidSpecError):
            await self._report_unreadable(key, record, record.deployment, memory)
        else:
            delay = await self._pass(key, record.deployment, memory)
        return 0.0 if self._was_edited(key, record) else delay

    def _recall(self, key: Key, uid: str) -> Memory:
        """What is remembered of this deployment; nothing of a deleted one with the same name."""
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = Memory(uid)
        return memory

    async def _pass(self, key: Key, deployment: ModelDeployment, memory: Memory) -> float | None:
        snapshot = self._cache.snapshot(key, self._clock())
        had_turn, memory.has_turn = memory.has_turn, self._upgrades.take(key)
        if memory.converged and memory.converged.snapshot == snapshot and memory.has_turn == had_turn:
            until = self._certificates.valid_until(deployment) if memory.certified else NEVER
            if until:
                return self._time_until(until)
        before = self._observe(snapshot, deployment, memory)
        await find_other_autoscalers(self._cluster, before, memory)
        before = before._replace(other_autoscalers=memory.other_autoscalers)
        try:
            certification = await self._certificates.ensure(before, memory)
            result = await self._children.reconcile(key, before, memory, certification.failure)
        except TerminatingError:
            return None
        _raise_first_transient_error(result, memory)
        snapshot = self._cache.snapshot(key, self._clock())
        observed = await self._add_events(self._observe(snapshot, deployment, memory))
        memory.room = next_room(observed, result.revision)
        # The writes have begun a rollout without a canary, after which its cause cannot be seen any more.
        observed = observed._replace(room=memory.room, why_no_canary=before.why_no_canary)
        status = derive_status(assess(observed, result.blocked, result.revision))
        await self._update_status(key, observed, status)
        if observed.status is None or observed.status.upgrade != status.upgrade:
            self._wake_next()
        if result.outage:
            raise result.outage
        delay = next_pass_delay(before, observed, result.blocked)
        # An edit that arrived during the pass is in the snapshot, but not in what the pass has done.
        final = delay is None and snapshot.metadata == deployment.metadata and _is_planned_for(observed, result)
        self._remember(key, memory, result, snapshot if final else None, status)
        until_renewal = self._time_until(certification.until)
        return until_renewal if delay is None else min(delay, until_renewal or delay)

    def _wake_next(self) -> None:
        """No event reports to a waiting deployment that its turn can begin."""
        for key in self._upgrades.next():
            self._wake(key)

    def _time_until(self, time: datetime) -> float | None:
        """Seconds, None if the time will never come."""
        return None if time == NEVER else max((time - self._clock()).total_seconds(), 0.0)

    def _observe(self, snapshot: Snapshot, deployment: ModelDeployment, memory: Memory) -> ObservedState:
        observed = observe(snapshot, deployment, memory.applied_uids(), self._clock(), self._fetching)
        return with_canary(
            with_rollback(
                observed._replace(
                    other_autoscalers=memory.other_autoscalers,
                    room=memory.room,
                    is_outdated=memory.is_outdated,
                    has_turn=memory.has_turn,
                )
            )
        )

    async def _add_events(self, observed: ObservedState) -> ObservedState:
        """With the Events of what is stuck; if they cannot be read, the status has less detail."""
        if not (find_stuck(observed) or pending_request(observed)):
            return observed
        try:
            async with asyncio.timeout(EVENTS_LIMIT):
                events = await read_events(self._cluster, observed)
                request_events = await read_request_events(self._cluster, observed)
        except (ClusterError, TimeoutError) as error:
            log.warning("cannot read the events of what is stuck: %s", str(error) or "timed out")
            return observed
        return observed._replace(pod_events=events, request_events=request_events)

    async def _report_unreadable(
        self, key: Key, record: DeploymentRecord, error: InvalidSpecError, memory: Memory
    ) -> None:
        """An object that an older CRD accepted: only its status is written, nothing else is touched."""
        shell = ModelDeployment(metadata=record.metadata, spec=_EMPTY_SPEC)
        observed = self._observe(self._cache.snapshot(key, self._clock()), shell, memory)
        blocked = Blocked(error.reason, str(error), permanent=True)
        await self._update_status(key, observed, derive_status(assess(observed, blocked, None)))

    async def _update_status(self, key: Key, observed: ObservedState, status: Status) -> None:
        """Write the status if it has changed, then post Events about the change."""
        if status == observed.status:
            return
        uid = observed.deployment.metadata.uid
        try:
            stored = await self._cluster.write_status(*key, uid, status)
        except NotFoundError:
            self._forget_deleted(key, uid)
            return
        self._cache.deployments.put_response(stored)
        await self._post_events(key, uid, observed.status, status)

    async def _post_events(self, key: Key, uid: str, old: Status | None, new: Status) -> None:
        """Post Events; a lost one is not worth another pass, because the status contains the same information."""
        for event in events_for(old, new):
            try:
                await self._cluster.post_event(
                    *key, uid, type=event.type, reason=event.reason, message=event.message, action="Reconcile"
                )
            except ClusterError as error:
                log.warning("cannot post event %s of %s/%s: %s", event.reason, *key, error)

    def _forget_deleted(self, key: Key, uid: str) -> None:
        """The API server does not have the object, whether or not a watch will report its deletion."""
        record = self._cache.deployments.get(key)
        if record and record.metadata.uid == uid:
            self._cache.deployments.remove(*key)
            self._memories.pop(key, None)

    def _remember(
        self, key: Key, memory: Memory, result: ChildrenResult, snapshot: Snapshot | None, status: Status
    ) -> None:
        """Remember what the next pass need not repeat; `snapshot` is None if the status may change without an event."""
        memory.converged = None
        if result.converged is None or result.revision is None:
            return
        record = self._cache.deployments.get(key)
        if snapshot and record and (record.metadata, record.status) == (snapshot.metadata, status):
            memory.converged = Converged(result.converged, result.revision, snapshot._replace(record=record))
        else:
            memory.converged = Converged(result.converged, result.revision)

    def _was_edited(self, key: Key, before: DeploymentRecord) -> bool:
        """Whether the object has changed during the pass: a response may show an edit before any event does."""
        now = self._cache.deployments.get(key)
        return now is not None and now.metadata != before.metadata


def _is_planned_for(observed: ObservedState, result: ChildrenResult) -> bool:
    """Whether the plan has considered all that `observed` shows: a child may change while the pass waits."""
    known = result.converged
    return known is not None and plan_input(observed, known.proxy, result.revision) == known


def _raise_first_transient_error(result: ChildrenResult, memory: Memory) -> None:
    """A conflict or a busy API server becomes part of the status only if it happens in two passes in a row."""
    if not (result.outage and result.is_transient):
        memory.was_interrupted = False
    elif not memory.was_interrupted:
        memory.was_interrupted = True
        raise result.outage
