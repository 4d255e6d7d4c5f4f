"""The HTTP session for Kopf, which projects objects before Kopf decodes them.

Kopf decodes whole objects, and each time it fails to decode one, its watch ends. So lists and watch events reach it
with bounded bodies (`deployment_projection`), without objects that cannot be decoded. Versions that the cache already
has are skipped too, because Kopf starts a task for every object that it receives. Kopf requests only ModelDeployments.
`progress` records whether Kopf finishes with what it received.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.cluster.stored_objects import WatchEvent
from triton_operator.runtime.watch_progress import WatchProgress

Skip = Callable[[bytes | msgspec.Raw, Exception], None]
IsKnown = Callable[[msgspec.Raw], bool]

_READ = 64 * 1024
"""Bytes read from the connection at a time."""

_SHOWING = frozenset({"ADDED", "MODIFIED"})
"""Types of events that show an object as it is."""


_decode_event = msgspec.json.Decoder(WatchEvent).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class KopfSession:
    """The part of `aiohttp.ClientSession` that Kopf uses; everything else is delegated to `session`."""

    def __init__(self, session: aiohttp.ClientSession, progress: WatchProgress, skip: Skip, is_known: IsKnown) -> None:
        self._session = session
        self._progress = progress
        self._skip = skip
        self._is_known = is_known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Send a request; a successful response is a KopfResponse.

        A request for the next page of a list, or for a watch, means that Kopf has finished with what it received.
        """
        if {"watch", "continue"} & URL(url).query.keys():
            self._progress.finished()
        try:
            response = await self._session.request(method, url, **options)
        except Exception:
            self._progress.finished()  # An outage is not Kopf being stuck.
            raise
        if response.status >= HTTPStatus.BAD_REQUEST:
            self._progress.finished()
            return response
        return KopfResponse(response, self._progress, self._skip, self._is_known)


class KopfResponse:
    """The part of `aiohttp.ClientResponse` that Kopf uses."""

    def __init__(
        self, response: aiohttp.ClientResponse, progress: WatchProgress, skip: Skip, is_known: IsKnown
    ) -> None:
        self._response = response
        self._progress = progress
        self._skip = skip
        self._is_known = is_known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def __aenter__(self) -> Self:
        await self._response.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._response.__aexit__(kind, error, at)

    @property
    def content(self) -> KopfResponse:
        """The body as a stream of events."""
        return self

    async def json(self) -> Any:
        """A page of a list with projected items; anything else unchanged."""
        members = decode_any_depth(_decode_members, await self._response.read())
        raw = members.pop("items", None)
        page = {name: json.loads(bytes(value)) for name, value in members.items()}
        if raw is not None:
            self._progress.received()
            page["items"] = [json.loads(item) for each in _decode_items(raw) if (item := self._project(each))]
        return page

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """One projected event at a time, as a line."""
        rest = bytearray()
        async for chunk in self._response.content.iter_chunked(_READ):
            if (end := chunk.rfind(b"\n")) < 0:
                rest += chunk
                continue
            lines = bytes(rest + chunk[:end]).split(b"\n")
            rest = bytearray(chunk[end + 1 :])
            for line in lines:
                if event := self._event(line):
                    self._progress.received()
                    yield event + b"\n"
                    self._progress.finished()

    def _event(self, line: bytes) -> bytes:
        """The event for Kopf, empty if it is skipped."""
        if not line:
            return b""
        try:
            event = decode_any_depth(_decode_event, line)
        except Exception as error:  # noqa: BLE001 - one event must not block all others
            self._skip(line, error)
            return b""
        if event.type == "ERROR":
            return line
        body = self._project(event.object, may_be_known=event.type in _SHOWING)
        return _encode({"type": event.type, "object": msgspec.Raw(body)}) if body else b""

    def _project(self, item: msgspec.Raw, *, may_be_known: bool = True) -> bytes:
        """The body for Kopf, empty if it is skipped."""
        try:
            return b"" if may_be_known and self._is_known(item) else project_deployment(item)
        except Exception as error:  # noqa: BLE001 - one object must not block all others
            self._skip(item, error)
            return b""
