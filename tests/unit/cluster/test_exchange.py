"""One request, one complete response; after any failure, the next request gets its own response."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_clock import FakeClock
from triton_operator.cluster.exchange import IDLE, Exchange, Payload, Response

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BYE = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


class Script:
    """A server that responds to each request with the next of `answers`, as bytes; None closes the connection."""

    def __init__(self, *answers: bytes | Sequence[bytes] | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []
        self.received = asyncio.Event()
        self.url = ""
        self._serving: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Script]:
        """Listen on loopback until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in filter(None, self._serving):
                task.cancel()
            await asyncio.gather(*filter(None, self._serving), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
            self.received.set()
            answer = self.answers.pop(0)
            if answer is None:
                return
            for piece in [answer] if isinstance(answer, bytes) else answer:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def scripted(*answers: bytes | Sequence[bytes] | None) -> AsyncIterator[tuple[Script, Exchange]]:
    """A server with its script, and a client for it."""
    async with Script(*answers).running() as server, asyncio.timeout(60):
        exchange = Exchange(server.url, clock=FakeClock())
        yield server, exchange
        exchange.close()


async def test_a_request_is_what_it_says_and_connections_are_kept() -> None:
    async with scripted(HELLO, HELLO) as (server, exchange):
        assert await exchange.send("GET", "/a?b=c") == Response(200, b"hello", "")
        await exchange.send("PATCH", "/d", Payload("application/json", b"{}"), token="secret")
    first, second = server.requests
    assert first.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Length" not in first
    assert b"Authorization: Bearer secret\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" in second
    assert server.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with scripted(*[HELLO] * 6) as (server, exchange):
        for _ in range(2):
            await asyncio.gather(*(exchange.send("GET", "/") for _ in range(3)))
    assert server.connections == 3


@given(cuts=st.lists(st.integers(0, len(EARLY + CHUNKED)), max_size=8))
def test_a_response_may_come_in_any_pieces(cuts: list[int]) -> None:
    """Chunked, after an interim response."""
    whole = EARLY + CHUNKED
    edges = [0, *sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges) if start < end]

    async def ask() -> Response:
        async with scripted(pieces) as (_, exchange):
            return await exchange.send("GET", "/")

    assert asyncio.run(ask()) == Response(200, b"hello", "")


async def test_a_large_response_is_whole() -> None:
    body = b"x" * 3_000_000
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body) as (_, exchange):
        assert (await exchange.send("GET", "/")).body == body


async def test_a_server_that_closes_after_its_response_is_asked_on_a_new_connection() -> None:
    async with scripted(BYE, HELLO) as (server, exchange):
        assert await exchange.send("GET", "/") == Response(503, b"bye", "7")
        assert (await exchange.send("GET", "/")).status == 200
    assert server.connections == 2


@pytest.mark.parametrize(
    "broken", [None, [HELLO[:-2], b""], b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
async def test_a_response_that_is_none_is_an_error_and_the_next_request_has_its_own(
    broken: bytes | Sequence[bytes] | None,
) -> None:
    async with scripted(broken, None, HELLO) as (_, exchange):
        with pytest.raises(OSError):  # noqa: PT011 - which of them is the system's business
            await exchange.send("GET", "/", within=0.2)
        with pytest.raises(ConnectionError):
            await exchange.send("GET", "/")
        assert (await exchange.send("GET", "/")).body == b"hello"


async def test_a_response_that_does_not_come_in_time_is_an_error() -> None:
    async with scripted([], HELLO) as (server, exchange):
        with pytest.raises(TimeoutError, match="timed out after"):
            await exchange.send("GET", "/", within=0.05)
        assert (await exchange.send("GET", "/")).body == b"hello"
    assert server.connections == 2


async def test_a_late_response_is_not_taken_for_the_next_one() -> None:
    late = HELLO.replace(b"hello", b"LATE!")
    async with scripted(late, HELLO) as (server, exchange):
        asking = asyncio.create_task(exchange.send("GET", "/"))
        await server.received.wait()
        asking.cancel()
        assert (await exchange.send("GET", "/")).body == b"hello"
    assert server.connections == 2


async def test_a_response_that_nobody_asked_for_is_the_end_of_the_connection() -> None:
    async with scripted(HELLO + HELLO.replace(b"hello", b"twice"), HELLO) as (server, exchange):
        assert (await exchange.send("GET", "/")).body == b"hello"
        assert (await exchange.send("GET", "/")).body == b"hello"
    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    clock = FakeClock()
    async with Script(HELLO, HELLO, HELLO).running() as server:
        exchange = Exchange(server.url, clock=clock)
        await exchange.send("GET", "/")
        clock.now += IDLE
        await exchange.send("GET", "/")
        assert server.connections == 1
        clock.now += IDLE + 1
        await exchange.send("GET", "/")
        assert server.connections == 2
        exchange.close()


@pytest.mark.parametrize(("target", "token"), [("/a b", ""), ("/a\r\nX: y", ""), ("/a", "secret\nX: y")])
async def test_nothing_can_be_smuggled_into_a_request(target: str, token: str) -> None:
    with pytest.raises(ValueError, match="several lines"):
        await Exchange("http://127.0.0.1:1").send("GET", target, token=token)


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(ConnectionError):
        await Exchange("http://127.0.0.1:1").send("GET", "/")
