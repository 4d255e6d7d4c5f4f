"""Clients that attack the proxy itself: it and Triton keep running, and another client's requests succeed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.proxy.clients import Client
from tests.proxy.hostile import (
    CALL,
    INFER,
    encrypted,
    flood,
    reset_streams,
    send_grpc,
    send_http_1,
    send_http_2,
)
from tests.proxy.load import over_grpc, over_http, under_load
from tests.proxy.running_proxy import Proxy

IDLE = 2000
AT_LEAST = 20


@contextmanager
def others_are_served(client: Client, proxy: Proxy) -> Iterator[None]:
    """During the block, another client sends requests over both protocols; all succeed, and no process ends."""
    assert client.infer().status == 200
    before = proxy.haproxies()
    with under_load(client, over_http, over_grpc) as loads:
        yield
        end = time.monotonic() + 120
        while min(load.requests for load in loads) < AT_LEAST and time.monotonic() < end:
            time.sleep(0.02)
    assert [load.failures for load in loads] == [[], []]
    assert min(load.requests for load in loads) >= AT_LEAST
    assert proxy.haproxies() == before
    assert client.request("GET", "/v2/health/ready").status == 200


def test_malformed_requests_harm_nobody(client: Client, proxy: Proxy) -> None:
    """10,000 of them: 1,000 over HTTP/1.1, 3,000 frames of HTTP/2, and 6,000 gRPC calls."""
    with others_are_served(client, proxy):
        send_http_1(client, 1000)
        send_http_2(client, 300, 10)
        assert send_grpc(client, 60, 100) > 0


FRAMES: dict[str, bytes] = {
    "settings": bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    "pings": bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + bytes(8),
    "priorities": bytes([0, 0, 5, 2, 0, 0, 0, 0, 3]) + bytes(5),
    "window updates": bytes([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    "empty headers": bytes([0, 0, 0, 1, 0, 0, 0, 0, 1]),
    "continuations": bytes([0, 0, 1, 9, 0, 0, 0, 0, 1, 0x82]),
    "resets of closed streams": bytes([0, 0, 4, 3, 0, 0, 0, 0, 1]) + bytes(4),
    "unknown frames": bytes([0, 0, 0, 99, 0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_flood_of_frames_harms_nobody(client: Client, proxy: Proxy, frame: bytes) -> None:
    with others_are_served(client, proxy):
        flood(client, frame, 20_000)


@pytest.mark.parametrize("path", [INFER, CALL, "/v2/logging"])
def test_rapid_resets_harm_nobody(client: Client, proxy: Proxy, path: str) -> None:
    """5,000 of them, of which a connection with more than 1,000 stays open and becomes slow."""
    with others_are_served(client, proxy), ExitStack() as opened:
        for steps in (1, 1, 1, 1, 1, 5, 20, 20):
            streams = opened.enter_context(closing(reset_streams(client, path)))
            for _ in range(steps):
                next(streams)


def test_idle_connections_harm_nobody(client: Client, proxy: Proxy) -> None:
    with ExitStack() as opened:
        for _ in range(IDLE // 10):
            opened.enter_context(encrypted(client))
        for _ in range(IDLE - IDLE // 10):
            opened.enter_context(client.connect())
        with others_are_served(client, proxy):
            pass


def slow_headers(connection: socket.socket) -> None:
    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nX: ")


def slow_body(connection: socket.socket) -> None:
    connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())


@pytest.mark.parametrize("start", [slow_headers, slow_body])
def test_slow_clients_harm_nobody(client: Client, proxy: Proxy, start: Callable[[socket.socket], None]) -> None:
    with ExitStack() as opened:
        for _ in range(200):
            start(opened.enter_context(encrypted(client)))
        with others_are_served(client, proxy):
            pass
