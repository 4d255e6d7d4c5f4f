"""HTTP requests to the API server that return JSON bytes or raise a typed error.

`HttpCluster`, the reflectors, the Lease and the resync share one ApiClient. Callers decide about retries, except after
a 401 with a renewed token. `observe(verb, kind, code)` is called for every response, with code 0 if there is none.
"""

from __future__ import annotations

import contextlib
import functools
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from triton_operator.cluster.error_status import ErrorDetails, ErrorStatus, read_error_status
from triton_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    DeniedError,
    InvalidObjectError,
    NotFoundError,
    SilentWatchError,
    TerminatingError,
    TooLargeError,
    UnavailableError,
)
from triton_operator.cluster.exchange import WITHIN, Exchange, Payload, ResponseTooLargeError

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from triton_operator.cluster.connection import ApiServerConnection

_ERRORS: dict[int, type[ClusterError]] = {404: NotFoundError, 409: ConflictError, 403: DeniedError}
_OUTAGES = (aiohttp.ClientError, TimeoutError, OSError)
_RETRYABLE = frozenset({401, 408, 410, 429})

LONGEST_WAIT = 60.0
"""Upper limit in seconds for `Retry-After`; values of a day have been observed."""


@functools.lru_cache(maxsize=64)
def _encode(*query: tuple[str, str]) -> str:
    """Cached, because the same few queries repeat: that of an apply, and the empty one."""
    return f"?{urlencode(query)}" if query else ""


class ApiClient:
    """An open HTTP session to one API server."""

    def __init__(
        self, connection: ApiServerConnection, *, observe: Callable[[str, str, int], None] | None = None
    ) -> None:
        self._connection = connection
        self._observe = observe or (lambda _verb, _kind, _code: None)
        self._session = connection.session()
        self._exchange = Exchange(connection.server, connection.tls)
        self._prefix = urlsplit(connection.server).path
        self._origin = connection.server.removesuffix(self._prefix)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, watches included."""
        self._exchange.close()
        await self._session.close()

    async def request(  # noqa: PLR0913 - what to send, and how much to wait for and to accept
        self,
        verb: str,
        path: str,
        *,
        kind: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        within: float = WITHIN,
        most: int | None = None,
    ) -> bytes:
        """The body of a successful response; raises ClusterError for everything else.

        `within` is a timeout in seconds, `most` a limit in bytes for the body of the response.
        """
        target = self._target(path, query)
        token = self._connection.token()
        content = None if body is None else Payload(content_type, body)
        end = time.monotonic() + within
        status = 0
        try:
            response = await self._exchange.send(verb, target, content, token, within=within, most=most)
            if response.status == HTTPStatus.UNAUTHORIZED and (renewed := self._connection.renewed(token)):
                left = max(end - time.monotonic(), 0)
                response = await self._exchange.send(verb, target, content, renewed, within=left, most=most)
            status = response.status
        except ResponseTooLargeError as error:
            raise TooLargeError(f"{verb} {kind}: {error}") from error
        except OSError as error:  # a TimeoutError is one too
            raise _outage(verb, kind, error) from error
        finally:
            self._observe(verb, kind, status)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise as_error(status, response.body, response.retry_after)
        return response.body

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, *, kind: str, query: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks of a watch as they arrive; raises SilentWatchError after `silence` seconds without one."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        code = 0
        try:
            url = URL(self._origin + self._target(path, query), encoded=True)
            async with self._session.get(url, timeout=limits, allow_redirects=False) as response:
                code = response.status
                self._observe("WATCH", kind, code)
                if code >= HTTPStatus.MULTIPLE_CHOICES:
                    raise as_error(code, await response.read(), response.headers.get("Retry-After", ""))
                yield response.content.iter_any()
        except TimeoutError as error:
            if not code:
                self._observe("WATCH", kind, code)
                raise _outage("WATCH", kind, error) from error
            raise SilentWatchError(f"WATCH {kind}: no data for {silence:g} s") from error
        except _OUTAGES as error:
            if not code:
                self._observe("WATCH", kind, code)
            raise _outage("WATCH", kind, error) from error

    def _target(self, path: str, query: Mapping[str, str] | None) -> str:
        """Path and query; paths are ASCII and need no quoting."""
        return f"{self._prefix}{path}{_encode(*(query or {}).items())}"


def decode_response(decode: Callable[[bytes], T], body: bytes) -> T:
    """A successful response, decoded; raises UnavailableError for anything unexpected, such as a proxy's page."""
    try:
        return decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's and orjson's errors are ValueErrors
        begin = body[:80].decode(errors="replace")
        raise UnavailableError(f"unexpected response of the API server ({error}): {begin!r}") from error


def _outage(verb: str, kind: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"{verb} {kind}: {str(error) or type(error).__name__}")


def as_error(status: int, body: bytes, retry_after: str = "") -> ClusterError:
    """The typed error for an HTTP status and the `Status` object in the body."""
    # A proxy sends a page, or an empty body.
    parsed = read_error_status(body) or ErrorStatus(message=body[:200].decode(errors="replace"))
    message = parsed.message or f"HTTP {status}"
    details = parsed.details or ErrorDetails()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRYABLE:
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        wait = min(max(seconds or details.retry_after, 0.0), LONGEST_WAIT)
        return UnavailableError(message, status=status, retry_after=wait)
    if any(cause.field == "metadata.uid" for cause in details.causes):
        return ConflictError(message, status=status)  # an apply with a uid found another object of that name
    if any(cause.reason == "NamespaceTerminating" for cause in details.causes):
        return TerminatingError(message, status=status)
    return _ERRORS.get(status, InvalidObjectError)(message, status=status)
