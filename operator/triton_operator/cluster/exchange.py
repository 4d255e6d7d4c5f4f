"""One request, one whole answer, over HTTP/1.1 connections that are kept; `ApiClient` sends all but watches with it.

A new object is ten small requests, and a client that can do everything spends three times the instructions on each
(docs/decisions/0007-own-exchange-over-httptools.md). The parser is httptools', which is that of Node.js. Nothing is
sent twice, a redirect is an answer like others, and whatever goes wrong closes the connection: a late answer can never
be taken for the next one.
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
"""Seconds after which a connection is not used again: what is between us and the server may have forgotten it."""

WITHIN = 30.0
"""Seconds that a request may take, if nothing shorter is asked for."""

CONNECT = 5.0
"""Seconds for opening a connection, TLS included."""

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of an answer's body; a list of more is requested in smaller pages."""

MOST_BYTES_OF_ONE = 24 * 1024 * 1024
"""Bytes of a page with a single object. etcd stores 1.5 MiB of one by default and the API server accepts 3 MiB, but its
JSON writes each `<`, `>`, `&` and control character as six bytes (measured: 9 MB of a ConfigMap)."""


class AnswerTooLargeError(TritonOperatorError, OSError):
    """The answer's body has more bytes than the request accepts."""


class Content(NamedTuple):
    """The body of a request."""

    type: str
    body: bytes


class Answer(NamedTuple):
    """What the server said; `retry_after` is that header, "" without."""

    status: int
    body: bytes
    retry_after: str


class Exchange:
    """All connections to one server. As many are open as requests are under way at a time."""

    def __init__(
        self, server: str, tls: ssl.SSLContext | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        url = urlsplit(server)
        self._host, self._port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        self._tls = tls or url.scheme == "https" or None
        self._always = f"Host: {url.netloc}\r\nUser-Agent: triton-operator\r\nAccept: application/json\r\n"
        self._clock = clock
        self._idle: deque[_Connection] = deque()

    async def ask(
        self,
        verb: str,
        target: str,
        content: Content | None = None,
        token: str = "",
        *,
        within: float = WITHIN,
        most: int | None = None,
    ) -> Answer:
        """Send one request; raises OSError when no whole answer came, TimeoutError after `within` seconds.

        `most` is the limit for the bytes of the answer's body, MOST_BYTES by default.
        """
        if not f"{target}{token}".isprintable() or " " in target:
            raise ValueError(f"{target!r} is no target of a request, or the token has several lines")
        head = f"{verb} {target} HTTP/1.1\r\n{self._always}"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if content:
            head += f"Content-Type: {content.type}\r\nContent-Length: {len(content.body)}\r\n"
        connection = self._take() or await self._open(min(within, CONNECT))
        request = f"{head}\r\n".encode("latin-1") + (content.body if content else b"")
        answer = await connection.ask(request, within, MOST_BYTES if most is None else most)
        if connection.reusable:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Connection | None:
        """The connection used last, which is surely warm; those that have been idle for long are closed meanwhile."""
        while self._idle and self._idle[0].idle_since < self._clock() - IDLE:
            self._idle.popleft().close()
        while self._idle:
            if (connection := self._idle.pop()).reusable:
                return connection
        return None

    async def _open(self, within: float) -> _Connection:
        async with asyncio.timeout(within):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way; the methods `on_…` are called by the parser."""

    def __init__(self) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._most = MOST_BYTES
        self._retry_after = ""

    async def ask(self, request: bytes, within: float, most: int) -> Answer:
        """Send and wait; whoever stops waiting leaves a connection that is closed."""
        self._most = most
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(within, self._fail, TimeoutError(f"no answer within {within:g} s"))
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        self.reusable = False
        self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # that of a stream

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self.reusable = False
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Parse; what is no HTTP is the end of the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionAbortedError(f"the server's answer is no HTTP: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """An answer begins; one that nobody waits for is the end of the connection."""
        if self._waiter is None or self._waiter.done():
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of the body; one that makes it too large is the end of the connection."""
        self._size += len(body)
        if self._size > self._most:
            self._body.clear()
            self._fail(AnswerTooLargeError(f"the answer has more than {self._most} bytes"))
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole; one that only says that another follows (1xx) is not it."""
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            return
        answer = Answer(status, b"".join(self._body), self._retry_after)
        self._body, self._size, self._retry_after = [], 0, ""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(answer)
        if not self._parser.should_keep_alive():
            self.close()
