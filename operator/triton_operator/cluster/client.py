"""Raw HTTP to the API server: one request in, JSON bytes or a typed error out.

`HttpCluster`, the reflectors, the Lease and the resync share one ApiClient, so at most LIMIT connections are open.
Nothing is retried here: who asks decides. Every answer is reported to `observe(verb, kind, code)`, code 0 meaning
that none came.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from triton_operator.cluster.errors import (
    ClusterError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Terminating,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from triton_operator.cluster.connection import Connection

LIMIT = 32
"""Connections at most: 9 watches, 16 workers, the Lease and the resync fit."""

WITHIN = 30.0
"""Seconds that a request may take, if nothing shorter is asked for."""

_ERRORS: dict[int, type[ClusterError]] = {404: NotFound, 409: Conflict, 403: Denied}
_RETRYABLE = frozenset({401, 408, 410, 429})


class _Cause(msgspec.Struct):
    field: str = ""
    reason: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []
    retry_after: int = msgspec.field(default=0, name="retryAfterSeconds")


class Refusal(msgspec.Struct):
    """A `Status` object of Kubernetes, the body of every error."""

    code: int = 0
    message: str = ""
    details: _Details | None = None


_decode_refusal = msgspec.json.Decoder(Refusal).decode


class ApiClient:
    """An open HTTP session to one API server."""

    def __init__(self, connection: Connection, *, observe: Callable[[str, str, int], None] | None = None) -> None:
        self._connection = connection
        self._observe = observe or (lambda _verb, _kind, _code: None)
        self._session = connection.session(limit=LIMIT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, watches included."""
        await self._session.close()

    async def request(
        self,
        verb: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        within: float = WITHIN,
    ) -> bytes:
        """The body of a successful answer; raises ClusterError for everything else. `within` is in seconds."""
        with self._reporting(verb, kind) as report:
            async with self._session.request(
                verb,
                self._url(path, query),
                data=body,
                headers={"Content-Type": content_type},
                timeout=aiohttp.ClientTimeout(total=within, sock_connect=5),
            ) as response:
                report(response.status)
                answer = await response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise as_error(response.status, answer, response.headers.get("Retry-After", ""))
        return answer

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, kind: str, query: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks of a watch as they come; Unavailable after `silence` seconds without one."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        with self._reporting("WATCH", kind) as report:
            async with self._session.get(self._url(path, query), timeout=limits) as response:
                report(response.status)
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise as_error(response.status, await response.read(), response.headers.get("Retry-After", ""))
                yield response.content.iter_any()

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        """Encoded here: our paths are plain ASCII, and yarl's search for what to quote is not cheap."""
        return URL(f"{self._connection.server}{path}{'?' if query else ''}{urlencode(query or ())}", encoded=True)

    @contextlib.contextmanager
    def _reporting(self, verb: str, kind: str) -> Iterator[Callable[[int], None]]:
        """Turn broken connections and time-outs into Unavailable; tell `observe` how it ended."""
        seen = 0

        def report(code: int) -> None:
            nonlocal seen
            seen = code
            self._observe(verb, kind, code)

        try:
            yield report
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if not seen:
                report(0)
            raise Unavailable(f"{verb} {kind}: {str(error) or type(error).__name__}") from error


def as_error(status: int, body: bytes, retry_after: str = "") -> ClusterError:
    """The typed error for an HTTP status and the `Status` object that came with it."""
    try:
        refusal = _decode_refusal(body)
    except msgspec.DecodeError:  # a proxy's page, or nothing
        refusal = Refusal(message=body[:200].decode(errors="replace"))
    message = refusal.message or f"HTTP {status}"
    details = refusal.details or _Details()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRYABLE:
        asked = float(retry_after) if retry_after.isdigit() else 0.0
        return Unavailable(message, status=status, retry_after=asked or details.retry_after)
    if any(cause.field == "metadata.uid" for cause in details.causes):
        return Conflict(message, status=status)  # an apply with a uid met a namesake
    if any(cause.reason == "NamespaceTerminating" for cause in details.causes):
        return Terminating(message, status=status)
    return _ERRORS.get(status, Invalid)(message, status=status)
