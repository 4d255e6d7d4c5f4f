"""Keeps a sink up to date with all objects of one kind: LIST once, then WATCH.

Input: the API server's events as bytes. Output: projections into a sink, which `runtime` connects to the cache and the
work queue. After a gap (410, an error in the stream), all objects are listed again and the sink gets the whole list, so
that it also removes deleted objects. Only cancellation ends `run`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Generic, NoReturn, Protocol, TypeVar

import msgspec

from triton_operator.cluster.backoff import Backoff
from triton_operator.cluster.client import ApiClient, as_error
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.errors import ClusterError, SilentWatchError, UnavailableError
from triton_operator.cluster.listing import read_all
from triton_operator.cluster.projection import identify
from triton_operator.cluster.resource_paths import Resource
from triton_operator.cluster.stored_objects import WatchEvent
from triton_operator.cluster.unreadable import report_unreadable

log = logging.getLogger(__name__)

SILENCE = 75.0
"""Seconds without data after which a watch counts as dead; the API server sends a bookmark about every 60."""

SERVER_TIMEOUT = (240, 300)
"""Range of the requested duration of a watch in seconds, random so that reconnects are spread."""

SHORT = 1.0
"""A watch that ends within this number of seconds, without an event, is a failure."""


class Versioned(Protocol):
    """An object with a version."""

    @property
    def resource_version(self) -> int:
        """The resourceVersion of the object."""


T = TypeVar("T", bound=Versioned)
T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """Receives objects."""

    def put(self, item: T_contra) -> None:
        """An object is new or has changed."""

    def drop(self, item: T_contra) -> None:
        """An object is deleted, or no longer matches the selector."""

    def replace(self, items: Sequence[T_contra], as_of: float) -> None:
        """`items` are all objects as of version `as_of`; objects that are newer may exist too."""


class _Error(msgspec.Struct):
    code: int = 0


_decode_event = msgspec.json.Decoder(WatchEvent).decode
_decode_error = msgspec.json.Decoder(_Error).decode


class Reflector(Generic[T]):
    """One kind, in one namespace or (None) in all; `project` converts JSON bytes to the sink's items.

    `selector` is a label selector. With `name`, only objects of this name are watched, for which a permission with that
    name suffices. `project_listed` replaces `project` for the objects of a list.
    """

    def __init__(  # noqa: PLR0913 - what to watch, and for whom
        self,
        client: ApiClient,
        resource: Resource,
        namespace: str | None,
        *,
        selector: str = "",
        name: str = "",
        project: Callable[[msgspec.Raw], T],
        project_listed: Callable[[msgspec.Raw], T] | None = None,
        sink: Sink[T],
        unreadable: Callable[[str], None] = lambda _kind: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.kind = resource.kind
        self.synced = asyncio.Event()
        self.last_event = self.last_turn = clock()
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._selector = {"labelSelector": selector} if selector else {}
        if name:
            self._selector["fieldSelector"] = f"metadata.name={name}"
        self._project = project
        self._project_listed = project_listed or project
        self._sink = sink
        self._unreadable = unreadable
        self._clock = clock
        self._pause = pause
        self._backoff = Backoff()
        self._version = ""
        self._reached = 0

    async def run(self) -> NoReturn:
        """Watch the kind until cancelled."""
        while True:
            try:
                await self._turn()
            except ClusterError as error:
                await self._recover(error)
            except Exception:
                log.exception("the watch of %s failed; listing again", self.kind)
                self._version = ""
                await self._pause(self._backoff.next())

    async def _turn(self) -> None:
        """One watch, after a list if there is no version to continue from.

        An attempt does not count as activity: if it fails because of a bug, the liveness probe must fail.
        """
        if not self._version:
            await self._list()
        began = self._clock()
        seen = self.last_event
        await self._watch()
        if self._clock() - began < SHORT and self.last_event == seen:
            raise UnavailableError("the watch ended immediately")
        self._working()

    async def _recover(self, error: ClusterError) -> None:
        self._alive()
        if error.status == HTTPStatus.GONE:
            self._version = ""
        elif not self._backoff.failures:
            log.warning("the watch of %s was interrupted, retrying: %s", self.kind, error)
        await self._pause(self._backoff.next(error.retry_after if isinstance(error, UnavailableError) else 0.0))

    async def _list(self) -> None:
        read = partial(self._read, self._project_listed)
        listing = await read_all(self._client, self._resource, self._namespace, self._selector, read=read)
        version = int(listing.version)
        if version < self._reached:
            log.warning("%s: the API server's data is older than the cache (restored from a backup?)", self.kind)
            self._sink.replace([], math.inf)  # Everything cached is obsolete.
        self._sink.replace(listing.items, version)
        self._version, self._reached = listing.version, version
        self._event_seen()
        self.synced.set()

    async def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            **self._selector,
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*SERVER_TIMEOUT)),
        }
        path = self._resource.path(self._namespace)
        seen = self.last_event
        try:
            async with self._client.stream(path, kind=self.kind, query=query, silence=SILENCE) as chunks:
                await self._consume(chunks)
        except SilentWatchError:
            if self.last_event == seen:
                # Not even a bookmark: after a restore from a backup, the API server may not have reached this version
                # yet, and would send no events for older ones.
                self._version = ""
            raise

    async def _consume(self, chunks: AsyncIterator[bytes]) -> None:
        rest = b""
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        """One event of the stream."""
        event = decode_any_depth(_decode_event, line)
        if event.type == "ERROR":
            self._version = ""  # after any error, the stream cannot be continued
            raise as_error(_decode_error(event.object).code, bytes(event.object))
        if event.type == "BOOKMARK":
            self._advance(identify(event.object).version)
        elif (item := self._read(self._project, event.object)) is not None:
            (self._sink.drop if event.type == "DELETED" else self._sink.put)(item)
            self._advance(item.resource_version)
        self._event_seen()
        self._working()

    def _advance(self, version: int) -> None:
        self._version = str(version)
        self._reached = max(self._reached, version)

    def _read(self, project: Callable[[msgspec.Raw], T], raw: msgspec.Raw) -> T | None:
        try:
            return project(raw)
        except Exception as error:  # noqa: BLE001 - one object must not block all others
            report_unreadable(self.kind, raw, error)
            self._unreadable(self.kind)
            return None

    def _event_seen(self) -> None:
        self.last_event = self._clock()
        self._alive()

    def _alive(self) -> None:
        self.last_turn = self._clock()

    def _working(self) -> None:
        if self._backoff.failures > 1:
            log.info("the watch of %s continues after %d failures", self.kind, self._backoff.failures)
        self._backoff.reset()
