"""One pass over one ModelDeployment: observe, build, plan, execute, derive and write its status.

`runtime` calls `reconcile` from its work queue, never twice at once for the same key. The status is written at the end
of every pass. User mistakes end there; outages raise ClusterError afterwards, and the queue tries again for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.status import Status
from triton_operator.cluster.errors import ClusterError, NotFoundError, TerminatingError
from triton_operator.cluster.observed import Child, Pod
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.assessment import assess, time_left
from triton_operator.reconcile.caching import decide_caching
from triton_operator.reconcile.children import Children, Outcome
from triton_operator.reconcile.observed_state import (
    LONGEST_LOOK,
    PENDING_GRACE,
    ObservedState,
    hanging,
    own,
    read_events,
)
from triton_operator.reconcile.refusals import Blocked
from triton_operator.reconcile.status import derive_status
from triton_operator.reconcile.store import ChildId, Key, Known, Store, View
from triton_operator.reconcile.transitions import announce
from triton_operator.resources.settings import Settings

log = logging.getLogger(__name__)

EVENTS_LIMIT = 5.0
"""Seconds for reading the Events of what hangs."""

BLOCKED_RETRY_SECONDS = 15.0
"""Objects in our way bear no label of ours, so no watch tells when they go."""


def utc_now() -> datetime:
    """The real clock; tests pass their own."""
    return datetime.now(UTC)


_EMPTY_SPEC = Spec(model_repository=ModelRepository(), models=())
"""Stands in for a spec that cannot be read."""


class Rest(NamedTuple):
    """What a pass ended with that left nothing to do. The next one over the same would change nothing either."""

    deployment: ModelDeployment
    status: Status
    children: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]

    def lasts(self, view: View) -> bool:
        """Whether all is as it was; tables are the very same ones as long as nothing in them changed."""
        return (
            view.children is self.children
            and view.pods is self.pods
            and view.known is not None
            and (view.known.deployment, view.known.status) == (self.deployment, self.status)
        )


class Reconciler:
    """Brings the cluster to what ModelDeployments say, one at a time."""

    def __init__(
        self, cluster: Cluster, store: Store, settings: Settings, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock
        self._children = Children(cluster, store, settings)
        self._at_rest: dict[Key, Rest] = {}
        self._interrupted: set[Key] = set()

    async def reconcile(self, key: Key) -> float | None:
        """Work on one deployment; returns the seconds after which it wants to be looked at again, if any."""
        self._store.begin(key)
        view = self._store.view(key)
        rest = self._at_rest.pop(key, None)
        if rest and rest.lasts(view):
            self._at_rest[key] = rest
            return None
        known = view.known
        if known is None or known.metadata.deletion_timestamp:
            self._children.forget(key)
            self._interrupted.discard(key)
            return None
        if isinstance(known.deployment, InvalidSpecError):
            delay = await self._report_unreadable(key, known, known.deployment)
        else:
            delay = await self._pass(key, known.deployment)
        return 0.0 if self._was_edited(key, known) else delay

    def _was_edited(self, key: Key, before: Known) -> bool:
        """Whether the object is another one than this pass was about: an answer may have told so before any event."""
        now = self._store.view(key).known
        return now is not None and now.metadata != before.metadata

    async def _pass(self, key: Key, deployment: ModelDeployment) -> float | None:
        """The whole way; what it leaves settled is remembered, so that the echoes of its own writes cost nothing.

        Raises the outage that kept a child from being written, once the status reports it.
        """
        before = self._observe(key, deployment)
        try:
            outcome = await self._children.reconcile_children(key, before)
        except TerminatingError:
            return None
        self._let_the_first_pass(key, outcome)
        view = self._store.view(key)
        observation = await self._with_events(self._observe(key, deployment))
        status = await self._write_status(key, observation, outcome)
        if outcome.outage:
            raise outcome.outage
        delay = 0.0 if _was_filled(before, observation) else _look_again(observation, outcome.blocked)
        if outcome.settled and delay is None:
            self._at_rest[key] = Rest(deployment, status, view.children, view.pods)
        return delay

    def _let_the_first_pass(self, key: Key, outcome: Outcome) -> None:
        """Raise a lost race or a busy API server at once: it becomes part of the status only when it happens again."""
        if not (outcome.outage and outcome.is_passing):
            self._interrupted.discard(key)
        elif key not in self._interrupted:
            self._interrupted.add(key)
            raise outcome.outage

    def _observe(self, key: Key, deployment: ModelDeployment) -> ObservedState:
        view = self._store.view(key)
        owned = own(view, deployment, self._children.applied_uids(key))
        previous = view.known.status if view.known else None
        serving = tuple(pod for pod in view.pods if not pod.job)
        fetching = tuple(pod for pod in view.pods if pod.job)
        return ObservedState(deployment, previous, owned, serving, {}, self._clock(), fetching)

    async def _with_events(self, observation: ObservedState) -> ObservedState:
        """Events of what hangs; without them the status says less, which is better than no status."""
        try:
            async with asyncio.timeout(EVENTS_LIMIT):
                events = await read_events(self._cluster, observation)
        except (ClusterError, TimeoutError) as error:
            log.warning("events of pods cannot be read: %s", str(error) or "no answer in time")
            return observation
        return observation._replace(pod_events=events)

    async def _report_unreadable(self, key: Key, known: Known, error: InvalidSpecError) -> float | None:
        """An object that an older CRD let through: nothing of it is touched, only its status says why."""
        shell = ModelDeployment(metadata=known.metadata, spec=_EMPTY_SPEC)
        observation = self._observe(key, shell)
        await self._write_status(key, observation, Outcome(Blocked(error.reason, str(error), lasting=True), None))
        return None

    async def _write_status(self, key: Key, observation: ObservedState, outcome: Outcome) -> Status:
        """Write the status if it is another one than before; returns it."""
        status = derive_status(assess(observation, outcome.blocked, outcome.revision))
        if status == observation.previous:
            return status
        uid = observation.deployment.metadata.uid
        try:
            stored = await self._cluster.write_status(*key, uid, status)
        except NotFoundError:
            self._forget_gone(key, uid)
            return status
        self._store.take_answer(stored)
        await self._announce(key, uid, observation.previous, status)
        return status

    def _forget_gone(self, key: Key, uid: str) -> None:
        """The API server does not know the object: it is gone, whether or not a watch will ever say so."""
        known = self._store.view(key).known
        if known and known.metadata.uid == uid:
            self._store.forget_deployment(*key)
            self._children.forget(key)

    async def _announce(self, key: Key, uid: str, old: Status | None, new: Status) -> None:
        """Events are a courtesy: the status has said it all, so a lost one is not worth a second pass."""
        for news in announce(old, new):
            try:
                await self._cluster.post_event(
                    *key, uid, type=news.type, reason=news.reason, message=news.message, action="Reconcile"
                )
            except ClusterError as error:
                log.warning("event %s of %s/%s is lost: %s", news.reason, *key, error)


def _was_filled(before: ObservedState, after: ObservedState) -> bool:
    """Whether an answer to our own write told that a cache is filled: the echo of a write is no news to anybody."""
    then, now = decide_caching(before), decide_caching(after)
    return then is not None and now is not None and now.generation.filled and not then.generation.filled


def _look_again(observation: ObservedState, blocked: Blocked | None) -> float | None:
    """Nobody tells when a stranger's object goes, an Event is written, an eviction is old news, or a pause is over."""
    if blocked and not blocked.lasting:
        return BLOCKED_RETRY_SECONDS
    # The longer a pod hangs, the less likely is news: a big image may be pulled for half an hour.
    ages = [observation.now - since for since in hanging(observation).values()]
    looks = [min(max(min(ages), PENDING_GRACE), LONGEST_LOOK)] if ages else []
    ends = filter(None, (time_left(pod, observation.now) for pod in observation.pods))
    caching = decide_caching(observation)
    pauses = [max(caching.retry_at - observation.now, timedelta(0))] if caching and caching.retry_at else []
    return min((look.total_seconds() for look in (*looks, *ends, *pauses)), default=None)
