"""What one source address can hold and cancel. The addresses of the tests are all on loopback."""

from __future__ import annotations

import itertools
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame

from tests.proxy.certificates import Authority
from tests.proxy.clients import LINEAR, Client
from tests.proxy.hostile import CALL, INFER, STREAMS, reset_streams, send_malformed
from tests.proxy.http2 import Connection, connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded
from tests.proxy.running_proxy import Proxy, wait_until
from triton_operator.proxy.sources import (
    MAX_AT_ONCE,
    MAX_CANCELLED,
    MAX_CANCELLED_OF_CONNECTION,
    MAX_MALFORMED,
    MAX_OF_CANCELLING_SOURCE,
    PERIOD_SECONDS,
)

_NUMBERS = itertools.count(2)
LIVE = request_headers("/v2/health/live")
UNFINISHED = 64
ENHANCE_YOUR_CALM = 11
CANCELLED = MAX_OF_CANCELLING_SOURCE - 50
"""Of one connection: if it cancels more while its address is above the limit, it becomes slow."""
CLIENTS = 40
PAUSE_SECONDS = 0.1
BUFFERED = 300_000
"""More streams than fit into the buffers of a connection that the proxy does not read."""


@pytest.fixture
def one(proxy: Proxy, authority: Authority) -> Client:
    """A client with an address that no other test uses."""
    return Client(proxy.https, authority.pem, source=f"127.0.0.{next(_NUMBERS)}")


@pytest.fixture
def other(proxy: Proxy, authority: Authority) -> Client:
    """A client with another address."""
    return Client(proxy.https, authority.pem, source=f"127.0.0.{next(_NUMBERS)}")


def test_an_address_cannot_take_all_connections(proxy: Proxy, one: Client, other: Client) -> None:
    """Health checks of the same address are answered: it can be that of the node."""
    with ExitStack() as opened:
        for _ in range(MAX_AT_ONCE - 1):
            opened.enter_context(one.connect())
        with closing(one.connection()) as last:
            last.request("GET", "/v2/health/live")
            assert last.getresponse().read() == b""
            assert is_refused(one)
            assert other.infer().status == 200
            assert probe(proxy, one.source[0]) == 200
    wait_until(lambda: not is_refused(one))  # The proxy closes its side of the connections later.
    assert one.infer().status == 200


def test_no_limit_refuses_clients_far_below_it(proxy: Proxy) -> None:
    """HAProxy may read wrong rates, so there are many clients, and more than one period."""
    end = time.monotonic() + 2 * PERIOD_SECONDS
    with ThreadPoolExecutor(CLIENTS) as pool:
        served = list(pool.map(lambda number: probe_until(end, proxy, f"127.0.1.{number}"), range(1, CLIENTS + 1)))
    assert min(served) > 0


def probe_until(end: float, proxy: Proxy, address: str) -> int:
    """Send health checks on new connections, and return their number; raises OSError if the proxy refuses one."""
    count = 0
    while time.monotonic() < end:
        assert probe(proxy, address) == 200
        count += 1
        time.sleep(PAUSE_SECONDS)
    return count


def probe(proxy: Proxy, address: str) -> int:
    """The status of a health check on a new connection."""
    with closing(HTTPConnection("localhost", proxy.health, timeout=10, source_address=(address, 0))) as connection:
        connection.request("GET", "/v2/health/live")
        return connection.getresponse().status


def is_refused(client: Client) -> bool:
    """Whether the proxy closes a new connection without a reply to the first message of TLS.

    An `SSLSocket` cannot be used: Python does not close it if the connection is reset before the handshake.
    """
    try:
        with client.connect() as connection:
            connection.sendall(client_hello(client))
            return connection.recv(1) == b""
    except ConnectionError:
        return True


def client_hello(client: Client) -> bytes:
    """The first message of TLS."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def test_an_address_cannot_have_unlimited_requests(recorded: Recorded) -> None:
    """Calls whose messages do not arrive wait in the proxy."""
    clients = [
        Client(recorded.client.port, recorded.client.authority, source=f"127.0.0.{next(_NUMBERS)}") for _ in range(2)
    ]
    with ExitStack() as opened:
        refused = opened.enter_context(connected(clients[0]))
        for _ in range(MAX_AT_ONCE // UNFINISHED):
            assert refused.request(LIVE).admitted
            unfinished = opened.enter_context(connected(clients[0]))
            unfinished.send(*(unfinished_call(unfinished) for _ in range(UNFINISHED)))
            unfinished.request(LIVE)
        assert refused.request(grpc_headers(CALL), b"\0\0\0\0\0").headers["grpc-status"] == "8"
        assert refused.request(request_headers("/v2")).headers[":status"] == "429"
        with connected(clients[1]) as served:
            assert served.request(grpc_headers(CALL), b"\0\0\0\0\0").admitted
    assert {each.path for each in recorded.arrived()} == {"/v2/health/live", CALL}


def unfinished_call(connection: Connection) -> HeadersFrame:
    """The headers of a call whose message does not follow."""
    stream, connection.next_stream = connection.next_stream, connection.next_stream + 2
    return connection.headers(stream, grpc_headers(CALL))


def cancel(connection: Connection, count: int) -> None:
    """Start calls, and reset each at once."""
    calls = [unfinished_call(connection) for _ in range(count)]
    resets = [RstStreamFrame(call.stream_id, error_code=8) for call in calls]
    connection.send(*itertools.chain.from_iterable(zip(calls, resets, strict=True)))


def test_a_connection_that_cancels_its_requests_is_closed(one: Client) -> None:
    with connected(one) as connection:
        cancel(connection, MAX_CANCELLED_OF_CONNECTION - 10)
        assert connection.request(LIVE).admitted
        cancel(connection, 20)
        assert connection.request(LIVE).reset == ENHANCE_YOUR_CALM
        assert connection.request(LIVE).closed
    assert one.infer().status == 200


def test_a_connection_with_responses_can_cancel(one: Client) -> None:
    """It cancels as many requests as the one that is closed."""
    with connected(one) as connection:
        for _ in range(2 * MAX_CANCELLED_OF_CONNECTION // 10):
            cancel(connection, 10)
            assert all(connection.request(LIVE).admitted for _ in range(10))


def test_a_request_of_a_closed_connection_does_not_reach_triton(recorded: Recorded) -> None:
    request = request_headers(INFER, ("content-length", "2"), method="POST")
    with connected(recorded.client) as connection:
        assert connection.request(request, b"{}").admitted
        assert [each.path for each in recorded.arrived()] == [INFER]
        cancel(connection, MAX_CANCELLED_OF_CONNECTION + 10)
        assert connection.request(request, b"{}").reset == ENHANCE_YOUR_CALM
    assert recorded.arrived() == []


@pytest.mark.parametrize("path", [INFER, CALL, "/v2/logging"])
def test_a_connection_that_resets_streams_at_once_becomes_slow(one: Client, path: str) -> None:
    """The proxy cannot close it, and does not read it any more."""
    steps = 0
    with closing(reset_streams(one, path, timeout=3)) as streams, suppress(TimeoutError):
        for _ in itertools.islice(streams, BUFFERED // STREAMS):
            steps += 1
    assert MAX_CANCELLED_OF_CONNECTION <= steps * STREAMS < BUFFERED
    assert one.infer().status == 200


def test_an_address_that_sends_malformed_requests_has_to_pause(one: Client, other: Client) -> None:
    """Its other connections are served, and so are other addresses."""
    with closing(one.connection()) as earlier:
        earlier.request("GET", "/v2/health/live")
        assert earlier.getresponse().read() == b""
        sent, start = 0, time.monotonic()
        while not is_refused(one):
            for _ in range(50):
                with suppress(OSError):
                    send_malformed(one)
            sent += 50
        periods = (time.monotonic() - start) / PERIOD_SECONDS
        assert MAX_MALFORMED // 2 <= sent <= MAX_MALFORMED * (2 + periods)
        assert other.infer().status == 200
        earlier.request("GET", "/v2/health/live")
        assert earlier.getresponse().status == 200


def test_responses_offset_malformed_requests(one: Client) -> None:
    """A client behind the same gateway is served."""
    with closing(one.connection()) as earlier:
        for _ in range(MAX_MALFORMED + 100):
            send_malformed(one)
            earlier.request("GET", "/v2/health/live")
            response = earlier.getresponse()
            assert (response.status, response.read()) == (200, b"")
    assert not is_refused(one)


def test_an_address_that_cancels_has_to_pause(one: Client, other: Client) -> None:
    """Its other connections are served, and so are other addresses."""
    body = json.dumps(LINEAR)
    with closing(one.connection()) as earlier:
        earlier.request("POST", INFER, body)
        assert earlier.getresponse().read()
        connections, start = 0, time.monotonic()
        while not is_refused(one):
            with connected(one) as connection:
                cancel(connection, CANCELLED)
                connection.request(LIVE)  # The proxy has counted the others when it replies.
            connections += 1
        periods = (time.monotonic() - start) / PERIOD_SECONDS
        assert MAX_CANCELLED // 2 <= connections * CANCELLED <= MAX_CANCELLED * (2 + periods)
        assert other.infer().status == 200
        for _ in range(20):
            earlier.request("POST", INFER, body)
            response = earlier.getresponse()
            assert (response.status, response.read() != b"") == (200, True)
