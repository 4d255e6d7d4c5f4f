"""Liveness, readiness and metrics over HTTP.

`/healthz` says whether a restart would help: watchers dead or stuck, a queue that nobody serves. An API server that is
away is no such reason. `/readyz` says whether the caches are filled; an operator that does not lead is ready too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from triton_operator.runtime.metrics import Metrics

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


class HealthServer:
    """The HTTP server; `alive` and `ready` are asked at each request."""

    def __init__(self, alive: Sequence[Check], ready: Sequence[Check], metrics: Metrics) -> None:
        self._alive = alive
        self._ready = ready
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, listen: str, port: int) -> None:
        """Listen on `listen` (empty: all addresses) and `port` (0: any free one, then found in `port`)."""
        app = web.Application()
        app.router.add_get("/healthz", self._show_life)
        app.router.add_get("/readyz", self._show_readiness)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, listen or None, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _show_life(self, _: web.Request) -> web.Response:
        return _answer(self._alive)

    async def _show_readiness(self, _: web.Request) -> web.Response:
        return _answer(self._ready)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


def _answer(checks: Sequence[Check]) -> web.Response:
    problems = [problem for check in checks if (problem := check())]
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")
