"""A served deployment changes to TLS: at each moment clients can reach it, first without TLS and then with it."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import Served, serve

NAME = "digits"
PATH = f"/v2/models/{NAME}/ready"
PAUSE_SECONDS = 0.05


class Failure(NamedTuple):
    """When a request that failed was sent, and what went wrong."""

    sent: float
    problem: str


@dataclass
class Answers:
    """The times of a client's requests; each has a connection of its own."""

    answered: list[float] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def test_plain_clients_are_served_until_clients_with_tls_are(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object]
) -> None:
    kube.apply(model_deployment(NAME, privacy={"tls": {"mode": "Disabled"}}))
    kube.wait_ready(NAME)
    with serve(node, kube, NAME) as before, asked(plain(before)) as without_tls:
        kube.wait(lambda: without_tls.answered, "a plain request is answered")
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"tls": {"mode": "Managed"}}}})
        kube.wait(lambda: endpoint(kube).startswith("https:"), "the status has the address with TLS", 120)
        with serve(node, kube, NAME) as after, asked(encrypted(after)) as with_tls:
            kube.wait(lambda: with_tls.answered, "a request with TLS is answered")
            kube.wait_ready(NAME)
            kube.wait(lambda: len(kube.list("pods")) == 1, "the old pod has ended", 120)
            kube.wait(lambda: service_ports(kube) == ["https"], "the plain ports are closed")
            end = time.monotonic()
            kube.wait(lambda: without_tls.failed and without_tls.failed[-1].sent > end, "plain requests fail")
            kube.wait(lambda: with_tls.answered[-1] > end, "requests with TLS are answered")
    print(f"{len(without_tls.answered)} requests without TLS, then {len(with_tls.answered)} with TLS")
    # The node's rules for the Service follow the pod's readiness later.
    assert [failure for failure in with_tls.failed if failure.sent > with_tls.answered[0]] == []
    assert without_tls.failed[0].sent > with_tls.answered[0]
    assert without_tls.answered[-1] < end


@contextmanager
def asked(ask: Callable[[], str]) -> Iterator[Answers]:
    """Send one request after the other while the block runs."""
    answers, stop = Answers(), threading.Event()

    def run() -> None:
        while not stop.wait(PAUSE_SECONDS):
            sent = time.monotonic()
            if problem := ask():
                answers.failed.append(Failure(sent, problem))
            else:
                answers.answered.append(sent)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def plain(served: Served) -> Callable[[], str]:
    """A request over HTTP without TLS; it returns what went wrong, or "" if it was answered."""

    def ask() -> str:
        connection = http.client.HTTPConnection(served.http_address, timeout=10)
        try:
            connection.request("GET", PATH)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        return "" if status == http.client.OK else f"status {status}"

    return ask


def encrypted(served: Served) -> Callable[[], str]:
    """The same over HTTPS; curl verifies the certificate."""

    def ask() -> str:
        try:
            status = served.status_code(PATH.removeprefix("/"), "--show-error")
        except subprocess.CalledProcessError as error:
            return str(error.stderr)
        return "" if status == http.client.OK else f"status {status}"

    return ask


def endpoint(kube: Kube) -> str:
    endpoints = (kube.get("modeldeployment", NAME) or {}).get("status", {}).get("endpoints", {})
    return str(endpoints.get("https") or endpoints.get("http"))


def service_ports(kube: Kube) -> list[str]:
    return [port["name"] for port in (kube.get("service", NAME) or {})["spec"]["ports"]]
