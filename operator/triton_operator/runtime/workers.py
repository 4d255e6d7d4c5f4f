"""Workers: take a key, reconcile it, and schedule its next pass.

A pass that fails is retried with growing pauses; a worker survives whatever a pass raises.
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
"""Seconds for one pass: a request may take 30, and a pass that hangs must not block its worker."""

Reconcile = Callable[[Key], Awaitable[float | None]]


class Workers:
    """`ready` returns once caches are synced and this process leads; `leads` returns whether it still does."""

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
        """Work until the queue is closed; run one of these per concurrent pass."""
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
        """Run one pass; returns its result, a label of the metrics."""
        try:
            async with asyncio.timeout(self._limit):
                delay = await self._reconcile(key)
        except ClusterError as error:
            retry_after = error.retry_after if isinstance(error, UnavailableError) else 0.0
            pause = self._queue.retry(key, retry_after)
            log.warning("retrying in %.1f s: %s", pause, error)
            return "retry"
        except Exception:  # a bug must not stop the other deployments
            pause = self._queue.retry(key)
            log.exception("the pass failed; retrying in %.1f s", pause)
            return "error"
        self._queue.forget(key)
        if delay is not None:
            self._queue.add_after(key, delay)
        return "ok"
