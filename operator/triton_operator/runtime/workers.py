"""Workers: take a key, reconcile it, and decide when to look at it again.

A pass that fails is repeated for ever with growing pauses; whatever it raises, the worker lives on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from triton_operator.cluster.errors import ClusterError, UnavailableError
from triton_operator.cluster.observed import Key
from triton_operator.runtime.logs import current_key
from triton_operator.runtime.metrics import Metrics
from triton_operator.runtime.work_queue import QueueShutDownError, WorkQueue

log = logging.getLogger(__name__)

PASS_LIMIT = 60.0
"""Seconds one pass may take: a request may take 30, and a pass that hangs must not hold its worker for ever."""

Reconcile = Callable[[Key], Awaitable[float | None]]


class Workers:
    """`ready` returns once caches are synced and we lead; `leads` says whether we still do."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        reconcile: Reconcile,
        *,
        ready: Callable[[], Awaitable[object]],
        leads: Callable[[], bool],
        metrics: Metrics,
        limit: float = PASS_LIMIT,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._ready = ready
        self._leads = leads
        self._metrics = metrics
        self._limit = limit

    async def run(self) -> None:
        """Work until the queue is closed; start as many of these as deployments are to be worked on at a time."""
        while True:
            await self._ready()
            try:
                key = await self._queue.get()
            except QueueShutDownError:
                return
            try:
                if self._leads():
                    await self._pass(key)
                else:  # lost the Lease while waiting for a key
                    self._queue.add(key)
            finally:
                self._queue.done(key)

    async def _pass(self, key: Key) -> None:
        token = current_key.set(key)
        began = time.monotonic()
        try:
            result = await self._try(key)
        finally:
            current_key.reset(token)
        self._metrics.reconcile_seconds.labels(result).observe(time.monotonic() - began)

    async def _try(self, key: Key) -> str:
        """One pass; returns how it ended, a label of the metrics."""
        try:
            async with asyncio.timeout(self._limit):
                delay = await self._reconcile(key)
        except ClusterError as error:
            asked = error.retry_after if isinstance(error, UnavailableError) else 0.0
            pause = self._queue.retry(key, asked)
            log.warning("trying again in %.1f s: %s", pause, error)
            return "retry"
        except Exception:  # a defect of ours must not stop the other deployments
            pause = self._queue.retry(key)
            log.exception("the pass failed; trying again in %.1f s", pause)
            return "error"
        self._queue.forget(key)
        if delay is not None:
            self._queue.add_after(key, delay)
        return "ok"
