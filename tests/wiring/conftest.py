"""A fake API server, and operator processes that use it in the test's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.fake_api_server import FakeApiServer
from triton_operator.cluster.connection import ApiServerConnection, TokenFile
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.runtime.options import Options
from triton_operator.runtime.process import Process

Key = tuple[str, str]


class Running:
    """One operator process whose passes only record their key, unless `outcome` is set."""

    def __init__(self, server: FakeApiServer, token: TokenFile | str = "", **options: Any) -> None:
        self.passes: list[Key] = []
        self.outcome: Callable[[Key], Awaitable[float | None]] | None = None
        self.cache = ObjectCache()
        self._changed = asyncio.Condition()
        self.process = Process(
            _options(**options),
            ApiServerConnection(server.url, token=token),
            self.cache,
            lambda _cluster, _issuing, _wake: self._reconcile,
        )
        self.task = asyncio.create_task(self.process.run())

    async def _reconcile(self, key: Key) -> float | None:
        async with self._changed:
            self.passes.append(key)
            self._changed.notify_all()
        return await self.outcome(key) if self.outcome else None

    async def passed(self, key: Key, times: int = 1) -> None:
        """Wait until a key was reconciled this many times since `forget_passes`."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.passes.count(key) >= times)

    async def quiet(self) -> None:
        """Wait until it watches and the queue is empty; then forget the passes so far."""
        async with asyncio.timeout(60):
            await self.process.elector.leading.wait()
            queue = self.process.queue
            while len(queue) or queue.busy:
                await queue.idle()
                await asyncio.sleep(0)  # to the workers, that hold a key from then on
        self.passes.clear()

    async def ask(self, path: str) -> tuple[int, str]:
        """The response to a probe or a scrape."""
        url = f"http://127.0.0.1:{self.process.health.port}{path}"
        async with ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def end(self) -> int:
        """Stop it as SIGTERM would; returns the exit status."""
        self.process.stop.set()
        return await asyncio.wait_for(self.task, 60)


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    """Run a fake API server."""
    async with FakeApiServer().running() as running:
        yield running


@pytest.fixture
async def start(server: FakeApiServer) -> AsyncIterator[Callable[..., Running]]:
    """Start operator processes; all are stopped after the test."""
    started: list[Running] = []

    def begin(**options: Any) -> Running:
        started.append(Running(server, **options))
        return started[-1]

    yield begin
    for running in started:
        await running.end()


@pytest.fixture
async def operator(start: Callable[..., Running], server: FakeApiServer) -> Running:
    """One operator process that leads and watches all namespaces."""
    running = start()
    async with asyncio.timeout(60):
        await server.watched("modeldeployments", "services", "deployments", "pods", "configmaps")
        await running.process.elector.leading.wait()
    return running


def _options(**changes: Any) -> Options:
    options = Options(
        settings=Path("unused"),
        kubeconfig=None,
        namespace=None,
        own_namespace="operators",
        identity="operator-1",
        listen="127.0.0.1",
        metrics_port=0,
        log_level="INFO",
        workers=4,
        resync_seconds=600,
    )
    return options._replace(**changes)
