"""Liveness, readiness and metrics over HTTP.

`/healthz` fails if a restart would help: dead or stuck watches, or a queue that no worker serves. It does not
fail if the API server is unreachable. `/readyz` succeeds when the caches are filled, also for an operator that does not
lead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from triton_operator.runtime.metrics import Metrics

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


class HealthServer:
    """The HTTP server; the checks `alive` and `ready` run for each request."""

    def __init__(self, alive: Sequence[Check], ready: Sequence[Check], metrics: Metrics) -> None:
        self._alive = alive
        self._ready = ready
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, listen: str, port: int) -> None:
        """Listen on `listen` (empty: all addresses) and `port` (0: any free port, then stored in `self.port`)."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_text)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, listen or None, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _respond(self._alive)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _respond(self._ready)

    async def _metrics_text(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


def _respond(checks: Sequence[Check]) -> web.Response:
    problems = [problem for check in checks if (problem := check())]
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")
