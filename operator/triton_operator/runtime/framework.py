"""Kopf, as far as we use it: it watches ModelDeployments and tells our intake; it stores and writes nothing.

Why so little: its handlers that keep state write annotations and finalizers onto users' objects, lose an object after
a failed write, and cost several times the CPU of a plain event handler. `start` is called by `process` once the
definition of ModelDeployments is known to exist, so scanning for it can be off.
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
from triton_operator.cluster.connection import Connection
from triton_operator.runtime.intake import DeploymentIntake
from triton_operator.runtime.kopf_session import KopfSession
from triton_operator.runtime.watch_progress import WatchProgress

WATCHER = f"watcher for {PLURAL}.{VERSION}.{GROUP}@"
"""How Kopf names the tasks that watch our objects."""


class Endless:
    """Pauses between attempts, for ever; Kopf iterates it anew for each request."""

    def __iter__(self) -> Iterator[float]:
        backoff = Backoff(first=0.5, cap=30.0)
        while True:
            yield backoff.next()


class NoDiffBase(kopf.DiffBaseStorage):
    """Remembers no last-handled state: without it Kopf copies the whole object for every event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """Nothing of the object matters."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers: ours have none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> kopf.ProgressRecord | None:
        """Nothing was stored."""
        return None

    def store(self, *, key: Any, record: kopf.ProgressRecord, body: kopf.Body, patch: kopf.Patch) -> None:
        """Store nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing to remove."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Never write, whatever for."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Nothing to take out."""
        return essence


def build_settings() -> kopf.OperatorSettings:
    """Kopf's settings; the defaults that are changed have bitten somebody (the numbers are issues of nolar/kopf)."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.peering.standalone = True  # our Lease decides who works; equal peers all pause (#734)
    settings.scanning.disabled = True  # needs no right to watch definitions or namespaces
    settings.posting.enabled = False
    settings.networking.error_backoffs = Endless()  # the default gives up after a minute and ends the process
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 5
    settings.watching.server_timeout, settings.watching.client_timeout = 240, 300  # whole numbers go into the query
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 20  # objects; each may have 3 MB before it is projected
    settings.watching.inactivity_timeout = 75  # bookmarks come every 60 s; a silent watch is dead (#585)
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = None  # `process` ends by itself; this would be a SIGKILL
    return settings


def build_registry(connection: Connection, intake: DeploymentIntake, progress: WatchProgress) -> kopf.OperatorRegistry:
    """Our two handlers: how to log in, and what to do with events."""
    registry = kopf.OperatorRegistry()
    logins = Backoff(first=1.0, cap=30.0)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        """A session that reads renewed tokens by itself; asked for again only when one is refused."""
        if logins.failures:
            await asyncio.sleep(logins.next())
        else:
            logins.next()
        session = KopfSession(connection.session(), progress, intake.leave_out, intake.is_known)
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
                intake.drop(body)
            else:
                intake.put(body)
        except Exception as error:  # noqa: BLE001 - Kopf would log it with the object's words
            intake.leave_out(orjson.dumps(body), error)

    return registry


async def start(
    connection: Connection,
    namespace: str | None,
    intake: DeploymentIntake,
    progress: WatchProgress,
    stop: asyncio.Event,
) -> Collection[asyncio.Task[Any]]:
    """Start Kopf's tasks; they are for `follow`. They end when `stop` is set."""
    return await kopf.spawn_tasks(
        registry=build_registry(connection, intake, progress),
        settings=build_settings(),
        clusterwide=namespace is None,
        namespaces=[] if namespace is None else [namespace],
        standalone=True,
        stop_flag=stop,
    )


async def follow(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until one of Kopf's tasks ends, then end the others; raises what it failed with.

    `kopf.run_tasks` does this too, but takes every younger task of the process with it.
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
    """Whether Kopf's watcher of ModelDeployments is alive: a cancelled one leaves the process deaf but running."""
    return any(task.get_name().startswith(WATCHER) and not task.done() for task in asyncio.all_tasks())
