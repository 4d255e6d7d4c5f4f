"""The HTTP session that Kopf gets: what comes through it is projected before Kopf decodes it.

Kopf decodes whole objects, and one that it cannot decode ends its watch, each time anew. So a list and each event of a
watch reach it with bounded bodies (`deployment_projection`), and an object that cannot be read is left out. So is a
version that is known already, because Kopf starts a task for every object that it gets. The only objects that Kopf
requests are ModelDeployments. `progress` learns whether Kopf gets past what it was given.
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
from triton_operator.runtime.watch_progress import WatchProgress

LeaveOut = Callable[[bytes | msgspec.Raw, Exception], None]
IsKnown = Callable[[msgspec.Raw], bool]

_READ = 64 * 1024
"""Bytes taken from the connection at a time."""

_SHOWING = frozenset({"ADDED", "MODIFIED"})
"""Types of events that show an object as it is."""


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class KopfSession:
    """As much of an `aiohttp.ClientSession` as Kopf uses; the rest is that of `session`."""

    def __init__(
        self, session: aiohttp.ClientSession, progress: WatchProgress, leave_out: LeaveOut, is_known: IsKnown
    ) -> None:
        self._session = session
        self._progress = progress
        self._leave_out = leave_out
        self._is_known = is_known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Ask; an answer that is no error comes as a KopfResponse.

        To ask for the rest of a list, or for what comes after it, is to have got past what there was before.
        """
        if {"watch", "continue"} & URL(url).query.keys():
            self._progress.went_on()
        try:
            response = await self._session.request(method, url, **options)
        except Exception:
            self._progress.went_on()  # An outage: nothing that Kopf could get past.
            raise
        if response.status >= HTTPStatus.BAD_REQUEST:
            self._progress.went_on()
            return response
        return KopfResponse(response, self._progress, self._leave_out, self._is_known)


class KopfResponse:
    """As much of an `aiohttp.ClientResponse` as Kopf uses."""

    def __init__(
        self, response: aiohttp.ClientResponse, progress: WatchProgress, leave_out: LeaveOut, is_known: IsKnown
    ) -> None:
        self._response = response
        self._progress = progress
        self._leave_out = leave_out
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
        """A page of a list, with projected items; of what is no list, all."""
        members = decode_any_depth(_decode_members, await self._response.read())
        raw = members.pop("items", None)
        answer = {name: json.loads(bytes(value)) for name, value in members.items()}
        if raw is not None:
            self._progress.gave()
            answer["items"] = [json.loads(item) for each in _decode_items(raw) if (item := self._project(each))]
        return answer

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
                    self._progress.gave()
                    yield event + b"\n"
                    self._progress.went_on()

    def _event(self, line: bytes) -> bytes:
        """The event for Kopf, empty when there is none."""
        if not line:
            return b""
        try:
            event = decode_any_depth(_decode_event, line)
        except Exception as error:  # noqa: BLE001 - one event must not stand in the way of all others
            self._leave_out(line, error)
            return b""
        if event.type == "ERROR":
            return line
        body = self._project(event.object, may_be_known=event.type in _SHOWING)
        return _encode({"type": event.type, "object": msgspec.Raw(body)}) if body else b""

    def _project(self, item: msgspec.Raw, *, may_be_known: bool = True) -> bytes:
        """The body for Kopf, empty when there is none."""
        try:
            return b"" if may_be_known and self._is_known(item) else project_deployment(item)
        except Exception as error:  # noqa: BLE001 - one object must not stand in the way of all others
            self._leave_out(item, error)
            return b""
