"""The use of Kopf: it watches ModelDeployments and calls the operator's event handler; it stores and writes nothing.

Kopf's stateful handlers write annotations and finalizers to users' objects, lose an object after a failed write, and
cost several times the CPU of a plain event handler. `process` calls `start` once the CRD exists, so that scanning for
it can be disabled.
"""

# ruff: noqa: ARG002 - the signatures are Kopf's
from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Any, cast

import aiohttp
import kopf
import orjson

from triton_operator.api.names import GROUP, PLURAL, VERSION
from triton_operator.cluster.backoff import Backoff
from triton_operator.cluster.connection import ApiServerConnection
from triton_operator.runtime.event_handlers import DeploymentHandler
from triton_operator.runtime.kopf_session import KopfSession
from triton_operator.runtime.watch_progress import WatchProgress

WATCHER = f"watcher for {PLURAL}.{VERSION}.{GROUP}@"
"""Prefix of the names of Kopf's tasks that watch ModelDeployments."""


class EndlessBackoff:
    """Pauses between attempts, without an end; Kopf iterates over it again for each request."""

    def __iter__(self) -> Iterator[float]:
        backoff = Backoff(first=0.5, cap=30.0)
        while True:
            yield backoff.next()


class NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last-handled state; otherwise Kopf copies the whole object for every event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """An empty essence."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Stores no progress of handlers, because the operator's have none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> kopf.ProgressRecord | None:
        """Nothing was stored."""
        return None

    def store(self, *, key: Any, record: kopf.ProgressRecord, body: kopf.Body, patch: kopf.Patch) -> None:
        """Store nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing to remove."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Write nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Nothing to remove."""
        return essence


def build_settings() -> kopf.OperatorSettings:
    """Kopf's settings; the numbers are issues of nolar/kopf about the defaults that are changed."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.peering.standalone = True  # the Lease elects a leader; peers of equal priority all pause (#734)
    settings.scanning.disabled = True  # otherwise Kopf needs permission to watch CRDs and namespaces
    settings.posting.enabled = False
    settings.networking.error_backoffs = EndlessBackoff()  # with the default, the process ends after a minute of errors
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 5
    settings.watching.server_timeout, settings.watching.client_timeout = (
        240,
        300,
    )  # integers for the query
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 20  # objects; each may have 3 MB before it is projected
    settings.watching.inactivity_timeout = 75  # bookmarks arrive every 60 s; a silent watch is dead (#585)
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = None  # `process` ends without it; this would send SIGKILL
    return settings


def build_registry(
    connection: ApiServerConnection, handler: DeploymentHandler, progress: WatchProgress
) -> kopf.OperatorRegistry:
    """The login handler and the event handler."""
    registry = kopf.OperatorRegistry()
    logins = Backoff(first=1.0, cap=30.0)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        """A session that reads renewed tokens automatically; Kopf calls this again only after a 401."""
        if logins.failures:
            await asyncio.sleep(logins.next())
        else:
            logins.next()
        session = KopfSession(connection.session(), progress, handler.skip, handler.is_known)
        return kopf.AiohttpSession(
            server=connection.server,
            default_namespace=connection.namespace,
            aiohttp_session=cast("aiohttp.ClientSession", session),
        )

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_model_deployment(event: kopf.RawEvent, **_: Any) -> None:
        """Listed (type None), added, modified or deleted."""
        logins.reset()
        body: Any = event["object"]
        try:
            if event["type"] == "DELETED":
                handler.drop(body)
            else:
                handler.put(body)
        except Exception as error:  # noqa: BLE001 - Kopf would log the error with parts of the object
            handler.skip(orjson.dumps(body), error)

    return registry


async def start(
    connection: ApiServerConnection,
    namespace: str | None,
    handler: DeploymentHandler,
    progress: WatchProgress,
    stop: asyncio.Event,
) -> Collection[asyncio.Task[Any]]:
    """Start Kopf's tasks, which end when `stop` is set; pass them to `follow`."""
    return await kopf.spawn_tasks(
        registry=build_registry(connection, handler, progress),
        settings=build_settings(),
        clusterwide=namespace is None,
        namespaces=[] if namespace is None else [namespace],
        standalone=True,
        stop_flag=stop,
    )


async def follow(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until one of Kopf's tasks ends, then cancel the others; raises the error of the task that failed.

    `kopf.run_tasks` does this too, but also cancels every task of the process that started later.
    """
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


def is_watching() -> bool:
    """Whether Kopf's watch task is alive; if it is cancelled, the process keeps running without events."""
    return any(task.get_name().startswith(WATCHER) and not task.done() for task in asyncio.all_tasks())
