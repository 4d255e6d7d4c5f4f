"""Constant load over one protocol each: every request must succeed, and none is sent twice.

Input: a Client. Output: the number of requests, and what failed. Each kind of load is a thread of its own. HTTP clients
keep their connection until a response says that it will be closed, as HTTP/1.1 demands.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.proxy.clients import LINEAR, Client, infer_request

_PAUSE_SECONDS = 0.002


@dataclass
class Load:
    """What one thread has done."""

    name: str
    requests: int = 0
    failures: list[str] = field(default_factory=list)


def over_http(client: Client, load: Load, stop: threading.Event) -> None:
    """Inference over one keep-alive connection after another."""
    body = json.dumps(LINEAR)
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
    connection = http.client.HTTPSConnection("localhost", client.port, timeout=30, context=client.context())
    try:
        while not stop.is_set():
            connection.request("POST", "/v2/models/linear_regression/infer", body, headers)
            response = connection.getresponse()
            response.read()
            _count(load, "" if response.status == 200 else str(response.status))
    finally:
        connection.close()


def over_grpc(client: Client, load: Load, stop: threading.Event) -> None:
    """Calls on one long channel, without retries."""
    with _stub_without_retries(client) as stub:
        while not stop.is_set():
            try:
                stub.ModelInfer(infer_request(), metadata=client.metadata(), timeout=30)
                _count(load, "")
            except grpc.RpcError as error:
                _count(load, f"{error.code()}: {error.details()}")


def over_stream(client: Client, load: Load, stop: threading.Event) -> None:
    """One stream for the whole time; its messages count as requests."""
    sent: queue.Queue[object] = queue.Queue()
    with _stub_without_retries(client) as stub:
        answers = stub.ModelStreamInfer(iter(sent.get, None), metadata=client.metadata())
        try:
            while not stop.is_set():
                sent.put(infer_request())
                _count(load, next(answers).error_message)
        except grpc.RpcError as error:
            _count(load, f"{error.code()}: {error.details()}")
        finally:
            sent.put(None)
            answers.cancel()


@contextmanager
def under_load(client: Client, *kinds: Callable[[Client, Load, threading.Event], None]) -> Iterator[list[Load]]:
    """Load of each kind during the block; a thread that ends early with an exception is a failure."""
    stop = threading.Event()
    loads = [Load(kind.__name__) for kind in kinds]

    def run(kind: Callable[[Client, Load, threading.Event], None], load: Load) -> None:
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


@contextmanager
def _stub_without_retries(client: Client) -> Iterator[Any]:
    with client.grpc(options=[("grpc.enable_retries", 0)]) as stub:
        yield stub


def _count(load: Load, failure: str) -> None:
    load.requests += 1
    if failure:
        load.failures.append(failure)
    time.sleep(_PAUSE_SECONDS)
