"""What hostile clients cost another one: its p99 beside idle and slow connections, and beside reset streams.

Reset streams compete for the CPUs of this machine too, so their ratio is above that of a client with CPUs of its own.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from tests.benchmarks.costs import Costs
from tests.proxy.clients import LINEAR, Client
from tests.proxy.hostile import CALL, INFER, encrypted, reset_rapidly
from triton_operator.local.ports import ADDRESS

REQUESTS = 2000
ROUNDS = 3


def bench_other_clients(client: Client, costs: Costs) -> None:
    """Rounds without and with each kind of hostile client alternate; a ratio is that of the medians."""
    kinds: dict[str, Callable[[Client], Iterator[None]]] = {"idle": idle, "slow": slow, "resets": resets}
    measured: dict[str, list[float]] = {name: [] for name in ("alone", *kinds)}
    p99(client)
    for _ in range(ROUNDS):
        measured["alone"].append(p99(client))
        for name, kind in kinds.items():
            with contextmanager(kind)(client):
                measured[name].append(p99(client))
    medians = {name: statistics.median(values) for name, values in measured.items()}
    costs.add("p99 of a client through the proxy", medians["alone"] * 1000, "ms")
    for name in kinds:
        costs.add(f"p99 beside hostile clients: {name}", medians[name] / medians["alone"], "x")


def p99(client: Client) -> float:
    """The latency that one of a hundred requests exceeds, in seconds, over one connection."""
    body, latencies = json.dumps(LINEAR), []
    with closing(http.client.HTTPSConnection("localhost", client.port, timeout=30, context=client.context())) as one:
        for _ in range(REQUESTS):
            begin = time.perf_counter()
            one.request("POST", INFER, body)
            response = one.getresponse()
            assert response.read(), response.status
            latencies.append(time.perf_counter() - begin)
    return statistics.quantiles(latencies, n=100)[-1]


def idle(client: Client) -> Iterator[None]:
    """2,000 connections, of which 200 use TLS."""
    with ExitStack() as opened:
        for _ in range(200):
            opened.enter_context(encrypted(client))
        for _ in range(1800):
            opened.enter_context(socket.create_connection((ADDRESS, client.port), timeout=10))
        yield


def slow(client: Client) -> Iterator[None]:
    """200 connections that do not finish their request."""
    with ExitStack() as opened:
        for number in range(200):
            head = b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
            rest = b"Content-Length: 100\r\n\r\n{" if number % 2 else b"X"
            opened.enter_context(encrypted(client)).sendall(head + rest)
        yield


def resets(client: Client) -> Iterator[None]:
    """Streams that another process resets at once, a hundred per connection."""
    process = multiprocessing.get_context("spawn").Process(target=reset_until_killed, args=(client,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def reset_until_killed(client: Client) -> None:
    while True:
        reset_rapidly(client, CALL, 1, 100)
