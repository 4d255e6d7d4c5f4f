"""Constant load over one protocol each: every request must succeed, and none is processed twice.

Input: a Client. Output: the number of requests, and what failed. Each kind of load is a thread of its own. HTTP clients
keep their connection until a response says that it will be closed, as HTTP/1.1 demands. gRPC clients have the default
options, as those of users. A call that has selected its connection when GOAWAY arrives is then sent again on another,
because the server cannot have seen it (grpc/grpc#19969, and "transparent retries" in gRFC A6). No other call is sent
again: that would need a retry policy. The token of the Client may change meanwhile.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import grpc

from tests.proxy.clients import LINEAR, Client, infer_request

PAUSE_SECONDS = 0.002
_PATIENCE_SECONDS = 120

Kind = Callable[[Client, "Load", threading.Event], None]
"""A kind of load: it sends requests and counts them until the event is set."""


@dataclass
class Load:
    """What one thread has done; `pause` seconds are between two requests."""

    name: str
    pause: float = PAUSE_SECONDS
    requests: int = 0
    failures: list[str] = field(default_factory=list)


def over_http(client: Client, load: Load, stop: threading.Event) -> None:
    """Inference over one keep-alive connection after another."""
    body = json.dumps(LINEAR)
    connection = http.client.HTTPSConnection("localhost", client.port, timeout=30, context=client.context())
    try:
        while not stop.is_set():
            connection.request("POST", "/v2/models/linear_regression/infer", body, client.authorization())
            response = connection.getresponse()
            response.read()
            count(load, "" if response.status == 200 else str(response.status))
    finally:
        connection.close()


def over_grpc(client: Client, load: Load, stop: threading.Event) -> None:
    """Calls on one long channel."""
    with client.grpc() as stub:
        while not stop.is_set():
            try:
                stub.ModelInfer(infer_request(), metadata=client.metadata(), timeout=30)
                count(load, "")
            except grpc.RpcError as error:
                count(load, f"{error.code()}: {error.details()}")


def over_stream(client: Client, load: Load, stop: threading.Event) -> None:
    """One stream for the whole time; its messages count as requests."""
    sent: queue.Queue[object] = queue.Queue()
    with client.grpc() as stub:
        answers = stub.ModelStreamInfer(iter(sent.get, None), metadata=client.metadata())
        try:
            while not stop.is_set():
                sent.put(infer_request())
                count(load, next(answers).error_message)
        except grpc.RpcError as error:
            count(load, f"{error.code()}: {error.details()}")
        finally:
            sent.put(None)
            with suppress(grpc.RpcError):  # A stream that failed has been counted.
                list(answers)


@contextmanager
def under_load(client: Client, *kinds: Kind, pause: float = PAUSE_SECONDS) -> Iterator[list[Load]]:
    """Load of each kind during the block; a thread that ends early with an exception is a failure."""
    stop = threading.Event()
    loads = [Load(kind.__name__, pause) for kind in kinds]

    def run(kind: Kind, load: Load) -> None:
        try:
            kind(client, load, stop)
        except Exception as error:  # noqa: BLE001 -- reported as a failure
            load.failures.append(repr(error))

    threads = [threading.Thread(target=run, args=pair) for pair in zip(kinds, loads, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield loads
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_requests(loads: Sequence[Load], count: int) -> None:
    """Wait until the clients have sent requests, or one has failed."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while sum(load.requests for load in loads) < count and not any(load.failures for load in loads):
        assert time.monotonic() < end, loads
        time.sleep(0.02)


def count(load: Load, failure: str) -> None:
    """Add one request, which failed unless `failure` is empty, and pause."""
    load.requests += 1
    if failure:
        load.failures.append(failure)
    time.sleep(load.pause)
