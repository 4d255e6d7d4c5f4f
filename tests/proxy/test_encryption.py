"""Only TLS 1.3 with a certificate that the client verifies: everything else fails over both protocols."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.proxy.certificates import Authority, Pair
from tests.proxy.clients import Client
from tests.proxy.http2 import PREFACE, connected, grpc_headers, request_headers
from tests.proxy.recorded import LAST_GRPC, Recorded
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def plain(port: int, data: bytes) -> bytes:
    """What the server sends until it closes the connection."""
    received = b""
    with socket.create_connection((ADDRESS, port), timeout=15) as connection, suppress(ConnectionError):
        connection.sendall(data)
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize("data", [LIVE, PREFACE + bytes(64), b"\0" * 64], ids=["HTTP/1.1", "HTTP/2", "zeros"])
def test_a_request_without_encryption_gets_no_answer(recorded: Recorded, data: bytes) -> None:
    assert recorded.client.raw(LIVE).startswith(b"HTTP/1.1 200 ")
    assert b"HTTP" not in plain(recorded.client.port, data)
    assert [each.path for each in recorded.arrived()] == ["/v2/health/live"]


def test_a_grpc_call_without_encryption_fails(recorded: Recorded) -> None:
    with grpc.insecure_channel(f"{ADDRESS}:{recorded.client.port}") as channel, pytest.raises(grpc.RpcError) as failed:
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady(service_pb2.ServerReadyRequest(), timeout=10)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    assert recorded.arrived() == []


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_only_tls_1_3_is_spoken(recorded: Recorded, protocol: str, version: ssl.TLSVersion) -> None:
    context = recorded.client.context()
    context.set_alpn_protocols([protocol])
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((ADDRESS, recorded.client.port), timeout=15) as connection:
        if version == ssl.TLSVersion.TLSv1_3:
            with context.wrap_socket(connection, server_hostname="localhost") as encrypted:
                assert (encrypted.version(), encrypted.selected_alpn_protocol()) == ("TLSv1.3", protocol)
        else:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                context.wrap_socket(connection, server_hostname="localhost")


def test_another_protocol_is_not_negotiated(recorded: Recorded) -> None:
    context = recorded.client.context()
    context.set_alpn_protocols(["h3", "spdy/3.1"])
    with (
        socket.create_connection((ADDRESS, recorded.client.port), timeout=15) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as encrypted,
    ):
        assert encrypted.selected_alpn_protocol() is None


def test_grpc_needs_http_2(recorded: Recorded) -> None:
    """A call over HTTP/1.1 is refused, although its path is on the list."""
    with connected(recorded.client) as connection:
        assert connection.request(request_headers("/v2/health/live")).admitted
        assert connection.request(grpc_headers(LAST_GRPC), b"\0\0\0\0\0").admitted
    recorded.arrived()
    line = f"POST {LAST_GRPC} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/grpc\r\n".encode()
    received = recorded.client.raw(line + b"Content-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0")
    assert b"grpc-status: 12" in received
    assert recorded.arrived() == []


@pytest.fixture(scope="module")
def rotating(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy whose certificate the tests replace; nothing listens behind it."""
    folder = tmp_path_factory.mktemp("rotating")
    with running_proxy(folder / "pod", Ports(1, 1, 1), ProxyPolicy(), authority.issue()) as proxy:
        yield proxy


EXPIRES_SECONDS = 8
STRANGER = Authority()
"""Has the same name as the authority that clients trust, and another key."""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("right", ""),
        ("other name", "Hostname mismatch"),
        ("other deployment", "Hostname mismatch"),
        ("wildcard of another domain", "Hostname mismatch"),
        ("other authority", "certificate verify failed"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_client_refuses_another_certificate(rotating: Proxy, authority: Authority, kind: str, words: str) -> None:
    pairs: dict[str, Pair] = {
        "right": authority.issue("server"),
        "other name": authority.issue("other", [x509.DNSName("other.example")]),
        "other deployment": authority.issue("other", [x509.DNSName("other.shop.svc"), x509.DNSName("other.shop")]),
        "wildcard of another domain": authority.issue("other", [x509.DNSName("*.localhost.example")]),
        "other authority": STRANGER.issue("server"),
        "expired": authority.issue("server", life=timedelta(seconds=EXPIRES_SECONDS)),
    }
    reloads = len([line for line in rotating.lines if line.get("proxy") == "reloaded"])
    rotating.set_certificate(pairs[kind])
    rotating.wait_for("reloaded", reloads + 1)
    wait_until_served(rotating, pairs[kind])
    if kind == "expired":
        time.sleep(EXPIRES_SECONDS)  # The proxy does not load a certificate that has already expired.
    client = Client(rotating.https, authority.pem)
    if words:
        with pytest.raises(ssl.SSLCertVerificationError, match=words):
            client.request("GET", "/v2/health/live")
    else:
        assert client.request("GET", "/v2/health/live").status == 503, "nothing listens behind the proxy"
    with pytest.raises(grpc.RpcError) as failed:
        client.call("ServerReady", service_pb2.ServerReadyRequest())
    assert ("CERTIFICATE" in str(failed.value).upper() or "hostname" in str(failed.value).lower()) == bool(words)


def wait_until_served(proxy: Proxy, pair: Pair) -> None:
    """New connections get this certificate: the old process has closed its listeners."""
    expected = x509.load_pem_x509_certificate(pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def served() -> bool:
        with (
            socket.create_connection((ADDRESS, proxy.https), timeout=15) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True) == expected.public_bytes(Encoding.DER)

    wait_until(served)
