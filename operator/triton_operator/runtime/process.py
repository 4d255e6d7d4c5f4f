"""The operator process: connect, fill the caches, become the leader, reconcile, and shut down within seconds.

`__main__` creates one Process and runs it; the wiring tests do the same with their own API server and reconciler.
`__init__` creates everything that lives as long as the process, so it is also the map of the parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connection import ApiServerConnection
from triton_operator.cluster.http import HttpCluster
from triton_operator.cluster.lease import Elector
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.cluster.optional_reflector import OptionalReflector
from triton_operator.cluster.projector import Projector
from triton_operator.reconcile.certificate_caches import CertificateCaches, IssuerContext
from triton_operator.runtime import kopf_watch
from triton_operator.runtime.event_handlers import DeploymentHandler
from triton_operator.runtime.health import HealthServer
from triton_operator.runtime.issuer_refresh import IssuerRefresh
from triton_operator.runtime.metrics import Metrics
from triton_operator.runtime.options import Options
from triton_operator.runtime.probes import Probes
from triton_operator.runtime.restarts import restart_forever
from triton_operator.runtime.resync import Resync
from triton_operator.runtime.shared_watches import SharedWatches
from triton_operator.runtime.watch_progress import WatchProgress
from triton_operator.runtime.watches import build_reflectors
from triton_operator.runtime.work_queue import WorkQueue
from triton_operator.runtime.workers import Reconcile, Workers

log = logging.getLogger(__name__)

DRAIN = 1.5
"""Seconds for running passes to finish after SIGTERM."""
RELEASE_LIMIT = 1.0
"""Seconds for cancelled tasks to end, and for releasing the Lease."""
_FILLING, _SERVING = 200_000, 50_000
"""New objects between two garbage collections; 200,000 objects of failed requests use about 25 MB."""
_GENERATIONS = (20, 50)
"""Thresholds of the older generations."""


class Process:
    """One operator process; `build_reconcile` returns the reconcile function for the cluster that it writes to.

    Its last argument enqueues the key of a deployment.
    """

    def __init__(
        self,
        options: Options,
        connection: ApiServerConnection,
        cache: ObjectCache,
        build_reconcile: Callable[[HttpCluster, IssuerContext, Callable[[Key], None]], Reconcile],
    ) -> None:
        self._options = options
        self._connection = connection
        self._tasks: list[asyncio.Task[Any]] = []
        self._gc_tuning: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()
        self.metrics = Metrics()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.client = ApiClient(connection, observe=self.metrics.api_request)
        self.elector = Elector(self.client, self._home_namespace(), options.identity)
        projector = Projector()
        cluster = HttpCluster(
            self.client, instance=options.identity, time_left=self.elector.time_left, projector=projector
        )
        self.deployments = DeploymentHandler(cache.deployments, self.queue, self.metrics.unreadable)
        self.progress = WatchProgress()
        self.resync = Resync(
            self.client,
            options.namespace,
            self.deployments,
            lambda: self.queue.add_routine(cache.deployments.keys()),
            interval=options.resync_seconds,
        )
        self.reflectors = build_reflectors(
            self.client,
            options.namespace,
            self._home_namespace(),
            cache,
            self.queue,
            projector,
            self.metrics.unreadable,
        )
        issuer = IssuerContext(CertificateCaches(), self._authority_namespace(), options.authority_announced)
        self.shared_watches = SharedWatches(self.client, options.namespace, issuer, cache.deployments, self.queue)
        self.issuer_refresh = IssuerRefresh(self.client, cache, self.queue)
        self.workers = Workers(
            self.queue,
            build_reconcile(cluster, issuer, self.queue.add),
            ready=self._ready_to_work,
            leads=self.elector.leading.is_set,
            metrics=self.metrics,
        )
        required = [each for each in self.reflectors if not isinstance(each, OptionalReflector)]
        self.probes = Probes(required, self.resync, self.queue, self.elector, cache.deployments, self.progress)
        self.probes.publish(self.metrics)
        self.health = HealthServer(self.probes.alive(), self.probes.ready(), self.metrics)

    async def run(self) -> int:
        """Run until `stop` is set or a signal arrives; returns the exit status, 1 if a part failed for good."""
        self._handle_signals()
        try:
            await self.health.start(self._options.listen, self._options.metrics_port)
            log.info("watching %s", self._options.namespace or "all namespaces")
            self._start()
            return await self._wait_for_end()
        finally:
            await self._end()

    def _home_namespace(self) -> str:
        """Namespace of the Lease and the network probe: the reconciled one, or the operator's own if it reconciles all.

        Of two operators for the same namespace, only one is therefore active, and likewise of two for all namespaces
        that are installed in the same one. An operator for all and one for a single namespace do not exclude each
        other.
        """
        return self._options.namespace or self._options.own_namespace or self._connection.namespace

    def _authority_namespace(self) -> str | None:
        """The operator's own namespace. Outside a pod, that of the only namespace that is reconciled.

        An operator for all namespaces that runs outside a pod has none, and does not issue certificates.
        """
        return self._options.own_namespace or self._options.namespace

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)

    def _start(self) -> None:
        """Start all parts."""
        for part in (self.elector, self.resync, self.shared_watches, self.issuer_refresh, *self.reflectors):
            self._spawn(type(part).__name__, part.run())
        for _ in range(self._options.workers):
            self._spawn("Worker", self.workers.run())
        self._gc_tuning = asyncio.create_task(self._tune_gc(), name="GC tuning")
        self._spawn("Kopf", restart_forever("Kopf", self._run_kopf, self.stop))

    def _spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _ready_to_work(self) -> None:
        await self._synced()
        await self.elector.leading.wait()

    async def _synced(self) -> None:
        for part in (self.resync, *self.reflectors):
            await part.synced.wait()

    async def _tune_gc(self) -> None:
        """Exclude the objects that stay in memory from garbage collections, and collect less often.

        The first call is for imported modules. While the caches are filled, almost every new object stays in memory, so
        collections are rare; they are not disabled, because the API server may be unreachable for days.
        """
        gc.freeze()
        gc.set_threshold(_FILLING, *_GENERATIONS)
        try:
            await self._synced()
        finally:
            gc.set_threshold(_SERVING, *_GENERATIONS)
        log.info("caches are filled; %d deployments are queued", len(self.queue))
        gc.collect()
        gc.freeze()

    async def _run_kopf(self) -> None:
        """Run Kopf until it ends: after errors in a stream, or when the CRD is deleted."""
        if self.resync.synced.is_set():
            await self.resync.succeed()
        else:
            await self.resync.synced.wait()
        tasks = await kopf_watch.start(
            self._connection, self._options.namespace, self.deployments, self.progress, self.stop
        )
        self._handle_signals()  # Kopf has replaced them
        self.probes.watcher_expected()
        try:
            await kopf_watch.follow(tasks)
        finally:
            self.probes.watcher_excused()

    async def _wait_for_end(self) -> int:
        stopped = asyncio.create_task(self.stop.wait(), name="stop")
        done, _ = await asyncio.wait({stopped, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self.stop.is_set():
            return 0
        for task in done:
            error = None if task.cancelled() else task.exception()
            log.error("%s ended, shutting down: %s", task.get_name(), error or "cancelled", exc_info=error)
        return 1

    async def _end(self) -> None:
        """Let passes finish, then cancel everything and release the Lease."""
        self.stop.set()
        self.queue.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self.queue.idle()
        tasks = [*self._tasks, *filter(None, [self._gc_tuning])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=RELEASE_LIMIT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_LIMIT):
                await self.elector.release()
        await self.health.stop()
        await self.client.close()
        log.info("stopped")
