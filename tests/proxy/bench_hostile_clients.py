"""What hostile clients cost another one: its p99 next to idle and slow connections, and next to floods.

A flood also takes CPU time of this machine. Each is therefore measured on another proxy, too, which shares nothing but
the machine with the measured client. A ratio "to the same flood elsewhere" is what sharing the proxy costs.
The target is for the ratio "to alone".
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPSConnection
from itertools import islice
from pathlib import Path
from time import perf_counter

import pytest

from tests.benchmarks.costs import Costs
from tests.benchmarks.targets import at_most, target_lines
from tests.proxy.certificates import Authority
from tests.proxy.clients import LINEAR, Client
from tests.proxy.hostile import CALL, INFER, encrypted, reset_streams, send_http_1, send_large_body
from tests.proxy.running_proxy import Proxy, running_proxy
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

REQUESTS = 1200
CONNECTIONS = 4
ROUNDS = 3
MOST = 2.0
"""Times as high as alone, which is the target for the p99 of other clients."""
HERE, THERE = "127.0.0.2", "127.0.0.3"
"""The address of the measured client, and another one."""

Kind = Callable[[Client], Iterator[None]]


@pytest.mark.timeout(900)
def bench_other_clients(
    proxy: Proxy,
    triton: Ports,
    authority: Authority,
    tmp_path: Path,
    costs: Costs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rounds without and with each kind of hostile client alternate; a ratio is that of the medians."""
    client = Client(proxy.https, authority.pem, source=HERE)
    with (
        running_proxy(tmp_path / "elsewhere", triton, ProxyPolicy(), authority.issue()) as other,
        ExitStack() as opened,
    ):
        # Opened before the floods, because the address of a hostile client has to pause before it can connect.
        connections = [opened.enter_context(closing(client.connection())) for _ in range(CONNECTIONS)]
        targets = {
            "elsewhere": Client(other.https, authority.pem, source=THERE),
            "another address": Client(proxy.https, authority.pem, source=THERE),
            "same address": Client(proxy.https, authority.pem, source=HERE),
        }
        measured: dict[str, list[float]] = {}
        p99(connections)
        for _ in range(ROUNDS):
            measured.setdefault("alone", []).append(p99(connections))
            for name, kind in KINDS.items():
                for target, hostile in targets.items():
                    with contextmanager(kind)(hostile):
                        measured.setdefault(f"{name}, {target}", []).append(p99(connections))
    medians = {name: statistics.median(values) for name, values in measured.items()}
    costs.add("p99 of a client through the proxy", medians["alone"] * 1000, "ms")
    found = []
    for name in KINDS:
        for target in ("another address", "same address"):
            value, title = medians[f"{name}, {target}"], f"p99 beside {name}, {target}"
            costs.add(f"{title}: to alone", value / medians["alone"], "x")
            costs.add(f"{title}: to elsewhere", value / medians[f"{name}, elsewhere"], "x")
            found.append(at_most(f"{title}: to alone", value / medians["alone"], MOST, "x"))
    with capsys.disabled():
        print("\n".join(["", *target_lines(found)]))


def p99(connections: list[HTTPSConnection]) -> float:
    """The latency that one of a hundred requests exceeds, in seconds; the connections take turns."""
    body, latencies = json.dumps(LINEAR), []
    for number in range(REQUESTS):
        connection = connections[number % CONNECTIONS]
        begin = perf_counter()
        connection.request("POST", INFER, body)
        response = connection.getresponse()
        assert response.read(), response.status
        latencies.append(perf_counter() - begin)
    return statistics.quantiles(latencies, n=100)[-1]


def idle(client: Client) -> Iterator[None]:
    """2,000 connections, of which 200 use TLS."""
    with ExitStack() as opened:
        for _ in range(200):
            opened.enter_context(encrypted(client))
        for _ in range(1800):
            opened.enter_context(client.connect())
        yield


def slow(client: Client) -> Iterator[None]:
    """200 connections that do not finish their request."""
    with ExitStack() as opened:
        for number in range(200):
            head = b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
            rest = b"Content-Length: 100\r\n\r\n{" if number % 2 else b"X"
            opened.enter_context(encrypted(client)).sendall(head + rest)
        yield


def reset_on_one_connection(client: Client) -> None:
    """Reset streams as quickly as the proxy reads them."""
    for _ in reset_streams(client, CALL):
        pass


def reset_on_many_connections(client: Client) -> None:
    """Reset a hundred streams on each of many connections."""
    with closing(reset_streams(client, CALL)) as streams:
        for _ in islice(streams, 1):
            pass


def malformed(client: Client) -> None:
    """Send malformed requests, each on its own connection."""
    send_http_1(client, 1000)


def large_bodies(client: Client) -> None:
    """Send bodies that are larger than the proxy permits, as far as it reads them."""
    send_large_body(client)


def flood(attack: Callable[[Client], None]) -> Kind:
    """Repeat an attack in another process."""

    def run(client: Client) -> Iterator[None]:
        process = multiprocessing.get_context("spawn").Process(target=repeat, args=(attack, client), daemon=True)
        process.start()
        try:
            yield
        finally:
            process.kill()
            process.join()

    return run


def repeat(attack: Callable[[Client], None], client: Client) -> None:
    while True:
        with suppress(OSError):
            attack(client)


KINDS: dict[str, Kind] = {
    "idle connections": idle,
    "slow requests": slow,
    "resets on one connection": flood(reset_on_one_connection),
    "resets on many connections": flood(reset_on_many_connections),
    "malformed requests": flood(malformed),
    "large bodies": flood(large_bodies),
}
