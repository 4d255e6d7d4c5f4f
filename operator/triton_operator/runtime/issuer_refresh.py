"""Reads the cluster's public keys from time to time, from the first deployment that has a ServiceAccount as a caller.

A changed key set enqueues the deployments whose policy contains it. If it cannot be read, the last one stays in use.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import NoReturn

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.backoff import Backoff
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.issuer import read_issuer
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.resources.proxy_inputs import needs_cluster_keys
from triton_operator.resources.public_keys import keys_of_jwks
from triton_operator.runtime.work_queue import WorkQueue
from triton_operator.triton.proxy_contract.policy import Issuer

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two reads, ±20 %. An API server must publish a new key before it signs with it."""


class IssuerRefresh:
    """The reads of one process."""

    def __init__(
        self,
        client: ApiClient,
        cache: ObjectCache,
        queue: WorkQueue[Key],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._cache = cache
        self._queue = queue
        self._pause = pause
        self._backoff = Backoff()

    async def run(self) -> NoReturn:
        """Read until cancelled."""
        await self._cache.issuer.needed.wait()
        while True:
            await self._pause(await self._refresh())

    async def _refresh(self) -> float:
        """Read once; returns the pause before the next read."""
        try:
            published = await read_issuer(self._client)
            issuer = Issuer(published.name, keys_of_jwks(published.keys))
        except (ClusterError, ValueError) as error:
            if not self._backoff.failures:
                log.warning("cannot read the cluster's public keys, retrying: %s", error)
            return self._backoff.next()
        self._backoff.reset()
        if self._cache.issuer.put(issuer):
            log.info("the cluster's tokens are signed by %d keys of %s", len(issuer.keys), issuer.name)
            for key in self._concerned():
                self._queue.add(key)
        return INTERVAL * random.uniform(0.8, 1.2)

    def _concerned(self) -> Iterator[Key]:
        for key in self._cache.deployments.keys():  # noqa: SIM118 -- no dictionary
            record = self._cache.deployments.get(key)
            deployment = record.deployment if record else None
            if isinstance(deployment, ModelDeployment) and needs_cluster_keys(deployment.spec):
                yield key
