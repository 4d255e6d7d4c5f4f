"""Clients that send nothing more: the proxy disconnects them, but not those whose streams pause."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client, infer_request
from tests.proxy.hostile import CALL, INFER, encrypted
from tests.proxy.running_proxy import running_proxy
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Limits, ProxyPolicy

SILENCE = 2
UNFINISHED = {
    "nothing": b"",
    "headers": b"GET /v2/health/live HTTP/1.1\r\nX: ",
    "body": f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode(),
}


@pytest.fixture(scope="module")
def client(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a proxy that waits two seconds."""
    folder = tmp_path_factory.mktemp("impatient")
    with running_proxy(folder / "pod", triton, ProxyPolicy(), authority.issue(), "--silence", str(SILENCE)) as proxy:
        yield Client(proxy.https, authority.pem)


def test_a_client_that_does_not_start_tls_is_disconnected(client: Client) -> None:
    with client.connect() as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_a_client_that_does_not_finish_its_request_is_disconnected(client: Client, sent: bytes) -> None:
    assert client.raw(sent).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_after_its_response(client: Client) -> None:
    with encrypted(client) as connection:
        connection.settimeout(15)
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(65536) == b""


def test_a_stream_may_pause(client: Client) -> None:
    """Before the first message and between two of them, longer than the proxy waits for other clients."""
    sent: queue.Queue[object] = queue.Queue()
    with client.grpc() as stub:
        answers = stub.ModelStreamInfer(iter(sent.get, None), timeout=30)
        for _ in range(2):
            disconnected(client)
            sent.put(infer_request())
            assert next(answers).infer_response.model_name == "linear_regression"
        sent.put(None)
        assert list(answers) == []


def disconnected(client: Client) -> None:
    """Wait as long as the proxy waits for a client."""
    with client.connect() as connection:
        assert connection.recv(1) == b""


def test_a_channel_that_was_idle_connects_again(triton: Ports, authority: Authority, tmp_path: Path) -> None:
    """The proxy ends the idle connection with GOAWAY, which the channel reads before its next call."""
    idle = threading.Event()
    policy = ProxyPolicy(limits=Limits(max_connection_age_seconds=3))
    with (
        running_proxy(tmp_path / "pod", triton, policy, authority.issue()) as proxy,
        Client(proxy.https, authority.pem).channel(options=[("grpc.enable_retries", 0)]) as channel,
    ):
        infer = channel.unary_unary(CALL, None, None)
        assert infer(infer_request().SerializeToString(), timeout=20)
        channel.subscribe(lambda state: idle.set() if state is grpc.ChannelConnectivity.IDLE else None)
        assert idle.wait(20)
        assert infer(infer_request().SerializeToString(), timeout=20)
