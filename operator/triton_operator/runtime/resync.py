"""Lists all ModelDeployments at the start and about every ten minutes, and wakes every key.

The watch may miss what happened in a gap; nothing misses a list. The first list also shows that the definition of
ModelDeployments exists, so `synced` is what Kopf and the workers wait for.
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
from triton_operator.runtime.intake import DeploymentIntake

log = logging.getLogger(__name__)

INTERVAL = 600.0
"""Seconds between two lists, give or take a fifth: not all operators of a cluster at once."""


class Resync:
    """The lists of one process; `wake_all` is called after each."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str | None,
        intake: DeploymentIntake,
        wake_all: Callable[[], None],
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.synced = asyncio.Event()
        self.last_turn = clock()
        self._client = client
        self._namespace = namespace
        self._intake = intake
        self._wake_all = wake_all
        self._interval = interval
        self._clock = clock
        self._pause = pause
        self._backoff = Backoff()

    async def run(self) -> NoReturn:
        """List for ever."""
        while True:
            await self.succeed()
            await self._pause(self._interval * random.uniform(0.8, 1.2))

    async def succeed(self) -> None:
        """Return once a list has succeeded: ModelDeployments are defined and the API server answers."""
        while True:
            self.last_turn = self._clock()
            reached = self._intake.begin_list()
            try:
                listing = await read_all(self._client, MODEL_DEPLOYMENTS, self._namespace, read=self._intake.read)
            except ClusterError as error:
                await self._pause(self._explain(error))
            except Exception:
                log.exception("listing ModelDeployments failed; trying again")
                await self._pause(self._backoff.next())
            else:
                if self._take(listing, reached):
                    return

    def _take(self, listing: Listing[Identity], reached: int) -> bool:
        """Whether the list counts; if not, another one is needed at once."""
        if not self._intake.listed(listing.items, int(listing.version), reached=reached):
            return False
        self._wake_all()
        self._backoff.reset()
        self.synced.set()
        return True

    def _explain(self, error: ClusterError) -> float:
        if isinstance(error, NotFoundError):
            log.warning("the cluster knows no ModelDeployments; waiting until crds/modeldeployments.yaml is applied")
        else:
            log.warning("ModelDeployments cannot be listed, trying again: %s", error)
        return self._backoff.next(error.retry_after if isinstance(error, UnavailableError) else 0.0)
