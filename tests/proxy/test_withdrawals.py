"""Connections and streams from before a change of the policy: who is removed loses them, and nobody else does."""

from __future__ import annotations

import http.client
import json
import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import LINEAR, Client, infer_request
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    TokenRule,
)

SECONDS = 60
"""A bound for a hang, far below the age at which the proxy ends any connection (300 s)."""
OLD, NEW = Signer("ES256", "old"), Signer("ES256", "new")


def caller(name: str) -> Caller:
    return Caller(name, token=TokenRule("issuer", (AUDIENCE,), (Claim("sub", name),)))


def policy(*names: str, keys: tuple[Signer, ...] = (OLD, NEW), revoked: tuple[str, ...] = ()) -> ProxyPolicy:
    issuer = Issuer("issuer", tuple(key.public() for key in keys), revoked)
    return ProxyPolicy(callers=tuple(caller(name) for name in names), issuers=(issuer,))


@pytest.fixture
def own(triton: Ports, authority: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of one test that admits two callers."""
    with running_proxy(tmp_path / "pod", triton, policy("first", "second"), authority.issue()) as proxy:
        yield proxy


class Stream:
    """A stream with one message after another."""

    def __init__(self, stub: Any, client: Client) -> None:
        self._requests: queue.Queue[object] = queue.Queue()
        self._answers = stub.ModelStreamInfer(iter(self._requests.get, None), metadata=client.metadata())

    def infer(self) -> None:
        """Send a message and wait for its answer; raises grpc.RpcError."""
        self._requests.put(infer_request())
        assert next(self._answers).error_message == ""

    def ends_before(self, end: float) -> bool:
        """Send messages until the stream fails or the time is over."""
        try:
            while time.monotonic() < end:
                self.infer()
        except grpc.RpcError:
            return True
        return False

    def close(self) -> None:
        """Let the client's thread end."""
        self._requests.put(None)
        self._answers.cancel()


@contextmanager
def opened(proxy: Proxy, authority: Authority, token: str) -> Iterator[tuple[http.client.HTTPSConnection, Stream]]:
    """An idle connection and a stream, both used once."""
    client = Client(proxy.https, authority.pem, token=token)
    with ExitStack() as stack:
        connection = http.client.HTTPSConnection("localhost", proxy.https, timeout=30, context=client.context())
        stack.callback(connection.close)
        assert infer_over(connection, token) == 200
        stream = Stream(stack.enter_context(client.grpc()), client)
        stack.callback(stream.close)
        stream.infer()
        yield connection, stream


def infer_over(connection: http.client.HTTPSConnection, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request("POST", "/v2/models/linear_regression/infer", json.dumps(LINEAR), headers)
    response = connection.getresponse()
    response.read()
    return response.status


CHANGES: dict[str, ProxyPolicy] = {
    "caller removed": policy("second"),
    "key removed": policy("first", "second", keys=(NEW,)),
    "token revoked": policy("first", "second", revoked=("id-first",)),
}


@pytest.mark.parametrize("after", CHANGES.values(), ids=CHANGES)
def test_old_connections_and_streams_end_for_those_who_are_removed(
    own: Proxy, authority: Authority, after: ProxyPolicy
) -> None:
    first, second = OLD.token(sub="first", jti="id-first"), NEW.token(sub="second", jti="id-second")
    with opened(own, authority, first) as removed, opened(own, authority, second) as kept:
        own.set_policy(after)
        changed = time.monotonic()
        assert removed[1].ends_before(changed + SECONDS)
        assert infer_over(removed[0], first) in {401, 403}
        kept[1].infer()
        assert infer_over(kept[0], second) == 200


def test_an_old_connection_with_a_certificate_is_refused_if_its_caller_is_removed(
    triton: Ports, authority: Authority, tmp_path: Path
) -> None:
    clients = Authority("clients")

    def certificates(*names: str) -> ProxyPolicy:
        rules = [Caller(name, certificate=CertificateRule(subject=f"CN={name}")) for name in names]
        return ProxyPolicy(callers=tuple(rules), client_cas=clients.pem.decode())

    with (
        running_proxy(tmp_path / "pod", triton, certificates("first", "second"), authority.issue()) as proxy,
        ExitStack() as stack,
    ):
        connections = {}
        for name in ("first", "second"):
            context = Client(proxy.https, authority.pem, pair=clients.issue(name, [])).context()
            connection = http.client.HTTPSConnection("localhost", proxy.https, timeout=30, context=context)
            stack.callback(connection.close)
            connections[name] = connection
            assert infer_over(connection) == 200
        proxy.set_policy(certificates("second"))
        stranger = Client(proxy.https, authority.pem, pair=clients.issue("first", []))
        wait_until(lambda: stranger.infer().status == 403)
        assert {name: infer_over(connection) for name, connection in connections.items()} == {
            "first": 403,
            "second": 200,
        }


def test_a_closed_policy_ends_the_streams_of_everybody(triton: Ports, authority: Authority, tmp_path: Path) -> None:
    token = OLD.token(sub="first")
    with (
        running_proxy(tmp_path / "pod", triton, ProxyPolicy(), authority.issue()) as proxy,
        opened(proxy, authority, token) as (connection, stream),
    ):
        proxy.set_policy(policy("first"))
        proxy.wait_for("reloaded")
        assert stream.ends_before(time.monotonic() + SECONDS)
        assert infer_over(connection, token) == 200, "admitted to the new policy, after the connection was closed"
