"""Lists all ModelDeployments at the start and about every ten minutes, and enqueues every key.

A watch may miss events in a gap, which a list corrects. The first list also shows that the CRD exists, so Kopf and the
workers wait for `synced`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from triton_operator.cluster.backoff import Backoff
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.errors import ClusterError, NotFoundError, UnavailableError
from triton_operator.cluster.listing import Listing, read_all
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.cluster.stored_objects import Identity
from triton_operator.runtime.event_handlers import DeploymentHandler

log = logging.getLogger(__name__)

INTERVAL = 600.0
"""Seconds between two lists, ±20 %, so that the operators of a cluster do not list at the same time."""


class Resync:
    """The lists of one process; `enqueue_all` is called after each."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str | None,
        handler: DeploymentHandler,
        enqueue_all: Callable[[], None],
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.synced = asyncio.Event()
        self.last_turn = clock()
        self._client = client
        self._namespace = namespace
        self._handler = handler
        self._enqueue_all = enqueue_all
        self._interval = interval
        self._clock = clock
        self._pause = pause
        self._backoff = Backoff()

    async def run(self) -> NoReturn:
        """List until cancelled."""
        while True:
            await self.succeed()
            await self._pause(self._interval * random.uniform(0.8, 1.2))

    async def succeed(self) -> None:
        """Return once a list has succeeded, so the CRD exists and the API server responds."""
        while True:
            self.last_turn = self._clock()
            reached = self._handler.begin_list()
            try:
                listing = await read_all(self._client, MODEL_DEPLOYMENTS, self._namespace, read=self._handler.read)
            except ClusterError as error:
                await self._pause(self._log_and_back_off(error))
            except Exception:
                log.exception("listing ModelDeployments failed, retrying")
                await self._pause(self._backoff.next())
            else:
                if self._accept(listing, reached):
                    return

    def _accept(self, listing: Listing[Identity], reached: int) -> bool:
        """Take over the list; returns False if another one is needed immediately."""
        if not self._handler.listed(listing.items, int(listing.version), reached=reached):
            return False
        self._enqueue_all()
        self._backoff.reset()
        self.synced.set()
        return True

    def _log_and_back_off(self, error: ClusterError) -> float:
        if isinstance(error, NotFoundError):
            log.warning("ModelDeployment has no CRD; waiting until crds/modeldeployments.yaml is applied")
        else:
            log.warning("cannot list ModelDeployments, retrying: %s", error)
        return self._backoff.next(error.retry_after if isinstance(error, UnavailableError) else 0.0)
