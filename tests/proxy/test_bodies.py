"""Large bodies and headers, and small bodies that become large: they are refused before Triton has them in memory."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import grpc
import pytest
from hyperframe.frame import SettingsFrame

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client, infer_request
from tests.proxy.hostile import CALL, INFER, encrypted, send_large_body
from tests.proxy.http2 import connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded
from tests.proxy.running_proxy import Proxy, running_proxy
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Limits, ProxyPolicy

CHUNK = bytes(16_000)
READY = "/v2/models/linear_regression/ready"


def test_a_body_of_a_gigabyte_is_refused_by_its_length(recorded: Recorded) -> None:
    """The response comes after 16 MiB at most, because many clients do not read it before they have sent that much."""
    assert send_large_body(recorded.client).startswith(b"HTTP/1.1 413 ")
    assert recorded.arrived() == []


def test_a_body_without_a_length_is_refused(recorded: Recorded) -> None:
    """The proxy passes bodies on as they arrive, so it must know their size at the start."""
    with connected(recorded.client) as connection:
        assert connection.request(request_headers(INFER, ("content-length", "2"), method="POST"), b"{}").admitted
        assert connection.request(request_headers(INFER, method="POST"), b"{}").headers[":status"] == "411"
    with encrypted(recorded.client) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        connection.settimeout(30)
        connection.sendall(head + b"3e80\r\n" + CHUNK + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 411 ")
    assert [each.path for each in recorded.arrived()] == [INFER]


def test_a_large_header_is_refused(recorded: Recorded) -> None:
    """The proxy refuses it as soon as its buffer is full, and may close the connection before the client reads."""
    for size, admitted in ((4_000, True), (40_000, False)):
        head = f"GET {READY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Large: {'x' * size}\r\n\r\n"
        with encrypted(recorded.client) as connection:
            connection.settimeout(30)
            with suppress(ConnectionError, ssl.SSLError):  # The proxy does not wait for the end of the headers.
                connection.sendall(head.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 2" if admitted else b"HTTP/1.1 4")
    assert [each.path for each in recorded.arrived()] == [READY]


def test_a_client_is_told_how_many_streams_it_may_open(recorded: Recorded) -> None:
    with connected(recorded.client) as connection:
        assert connection.request(request_headers(READY)).admitted
        assert connection.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert [each.path for each in recorded.arrived()] == [READY]


def test_a_message_above_the_limit_is_refused_over_grpc(recorded: Recorded) -> None:
    message = bytes(ProxyPolicy().limits.max_body_bytes + 1)
    with recorded.client.channel() as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(CALL, None, None)(message, timeout=60)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert recorded.arrived() == []


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", [*COMPRESSED, "GZIP", "identity, gzip", "br", "x-gzip"])
def test_a_compressed_body_is_refused(recorded: Recorded, encoding: str) -> None:
    """Triton would decompress it without a limit: 600 KB became 1.2 GB of memory."""
    body = COMPRESSED.get(encoding, gzip.compress)(bytes(1 << 20))
    answer = recorded.client.request("POST", INFER, body, {"Content-Encoding": encoding})
    assert (answer.status, answer.error.split(":")[0]) == (415, "unsupported encoding")
    with connected(recorded.client) as connection:
        assert connection.request(grpc_headers(CALL, ("grpc-encoding", encoding)), b"\1\0\0\0\0").headers == {
            ":status": "200",
            "content-type": "application/grpc",
            "grpc-status": "12",
            "grpc-message": answer.error,
            "content-length": "0",
        }
        assert connection.request(grpc_headers(CALL, ("grpc-encoding", "identity")), b"\0\0\0\0\0").admitted
    assert [each.path for each in recorded.arrived()] == [CALL]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_client_that_compresses_learns_that_it_must_not(client: Client, compression: grpc.Compression) -> None:
    request = infer_request()
    request.parameters["padding"].string_param = "x" * 10_000
    with client.grpc() as stub:
        assert stub.ModelInfer(request, timeout=20).model_name == "linear_regression"
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, compression=compression, timeout=20)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert str(refused.value.details()).startswith("unsupported encoding: ")


@pytest.fixture(scope="module")
def small(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that admits bodies up to 1,000 bytes."""
    folder = tmp_path_factory.mktemp("small")
    policy = ProxyPolicy(limits=Limits(max_body_bytes=1000))
    with running_proxy(folder / "pod", triton, policy, authority.issue()) as proxy:
        yield proxy


def test_the_limit_is_exact_over_both_protocols(small: Proxy, authority: Authority) -> None:
    client = Client(small.https, authority.pem)
    assert client.request("POST", INFER, "x" * 1000).error.startswith("failed to parse the request JSON buffer")
    assert client.request("POST", INFER, "x" * 1001).status == 413
    request = infer_request()
    request.parameters["p"].string_param = "x" * 500
    padding = 1000 - request.ByteSize() + 500
    for extra, code in ((0, "OK"), (1, "RESOURCE_EXHAUSTED")):
        request.parameters["p"].string_param = "x" * (padding + extra)
        assert request.ByteSize() == 1000 + extra
        try:
            found = client.call("ModelInfer", request).model_name and "OK"
        except grpc.RpcError as error:
            found = error.code().name
        assert found == code


def test_the_limit_is_for_each_message_of_a_stream(small: Proxy, authority: Authority) -> None:
    large = infer_request()
    large.parameters["p"].string_param = "x" * 1000
    with Client(small.https, authority.pem).grpc() as stub:
        assert len(list(stub.ModelStreamInfer(iter([infer_request()] * 50), timeout=20))) == 50
        with pytest.raises(grpc.RpcError):
            list(stub.ModelStreamInfer(iter([infer_request(), large]), timeout=20))
