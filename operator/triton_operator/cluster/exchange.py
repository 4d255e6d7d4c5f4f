"""HTTP/1.1 requests with whole responses over kept connections; `ApiClient` uses it for everything but watches.

A new object takes ten small requests, and a general client needs three times the instructions for each
(docs/decisions/0007-own-exchange-over-httptools.md). The parser is httptools, which wraps that of Node.js. Nothing is
sent twice, redirects are not followed, and every error closes the connection, so that a late response can never be
taken for the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from triton_operator.errors import TritonOperatorError

if TYPE_CHECKING:
    import ssl

IDLE = 15.0
"""Seconds after which an idle connection is not used again, because something on the way may have dropped it."""

WITHIN = 30.0
"""Default timeout of a request in seconds."""

CONNECT = 5.0
"""Seconds for opening a connection, TLS included."""

MOST_BYTES = 8 * 1024 * 1024
"""Limit in bytes for the body of a response; longer lists are requested in smaller pages."""

MOST_BYTES_OF_ONE = 24 * 1024 * 1024
"""Limit in bytes for a page with a single object. etcd stores 1.5 MiB of one by default and the API server accepts
3 MiB, but its JSON writes each `<`, `>`, `&` and control character as six bytes (measured: 9 MB of a ConfigMap)."""


class ResponseTooLargeError(TritonOperatorError, OSError):
    """The body of the response has more bytes than the request accepts."""


class Payload(NamedTuple):
    """The body of a request."""

    type: str
    body: bytes


class Response(NamedTuple):
    """Status, body and `Retry-After` header ("" if absent)."""

    status: int
    body: bytes
    retry_after: str


class Exchange:
    """All connections to one server: one for each concurrent request."""

    def __init__(
        self, server: str, tls: ssl.SSLContext | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        url = urlsplit(server)
        self._host, self._port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        self._tls = tls or url.scheme == "https" or None
        # The API server publishes its public keys as application/jwk-set+json only.
        self._always = f"Host: {url.netloc}\r\nUser-Agent: triton-operator\r\nAccept: application/json, */*;q=0.5\r\n"
        self._clock = clock
        self._idle: deque[_HttpConnection] = deque()

    async def send(
        self,
        verb: str,
        target: str,
        content: Payload | None = None,
        token: str = "",
        *,
        within: float = WITHIN,
        most: int | None = None,
    ) -> Response:
        """Send one request; raises OSError without a complete response, TimeoutError after `within` seconds.

        `most` is the limit in bytes for the body of the response, MOST_BYTES by default.
        """
        if not f"{target}{token}".isprintable() or " " in target:
            raise ValueError(f"{target!r} is not a valid request target, or the token has several lines")
        head = f"{verb} {target} HTTP/1.1\r\n{self._always}"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if content:
            head += f"Content-Type: {content.type}\r\nContent-Length: {len(content.body)}\r\n"
        connection = self._take() or await self._open(min(within, CONNECT))
        request = f"{head}\r\n".encode("latin-1") + (content.body if content else b"")
        response = await connection.send(request, within, MOST_BYTES if most is None else most)
        if connection.reusable:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        return response

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _HttpConnection | None:
        """The connection used last; those that have been idle for too long are closed."""
        while self._idle and self._idle[0].idle_since < self._clock() - IDLE:
            self._idle.popleft().close()
        while self._idle:
            if (connection := self._idle.pop()).reusable:
                return connection
        return None

    async def _open(self, within: float) -> _HttpConnection:
        async with asyncio.timeout(within):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_HttpConnection, self._host, self._port, ssl=self._tls)
        return connection


class _HttpConnection(asyncio.Protocol):
    """One connection with at most one request at a time; the parser calls the methods `on_…`."""

    def __init__(self) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._most = MOST_BYTES
        self._retry_after = ""

    async def send(self, request: bytes, within: float, most: int) -> Response:
        """Send a request and wait for its response; cancellation closes the connection."""
        self._most = most
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(within, self._fail, TimeoutError(f"timed out after {within:g} s"))
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close the connection immediately."""
        self.reusable = False
        self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)  # the loop passes a stream transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.reusable = False
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Parse the data; anything but HTTP closes the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionAbortedError(f"the response is not HTTP: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """A response begins; if nobody waits for it, the connection is closed."""
        if self._waiter is None or self._waiter.done():
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the response."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A part of the body; if the body is too large, the connection is closed."""
        self._size += len(body)
        if self._size > self._most:
            self._body.clear()
            self._fail(ResponseTooLargeError(f"the response exceeds {self._most} bytes"))
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The response is complete, unless it is an interim one (1xx)."""
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            return
        response = Response(status, b"".join(self._body), self._retry_after)
        self._body, self._size, self._retry_after = [], 0, ""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(response)
        if not self._parser.should_keep_alive():
            self.close()
