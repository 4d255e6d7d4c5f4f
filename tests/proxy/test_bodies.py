"""Large bodies, and small ones that become large: they are refused before Triton has them in memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import grpc
import pytest
from hyperframe.frame import DataFrame

from tests.proxy.clients import Client, infer_request
from tests.proxy.hostile import CALL, INFER, encrypted
from tests.proxy.http2 import connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded

GIGABYTE = 1 << 30
CHUNK = bytes(16_000)


def test_a_body_of_a_gigabyte_is_refused_by_its_length_over_http_1(recorded: Recorded) -> None:
    with encrypted(recorded.client) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIGABYTE}\r\n\r\n".encode()
        connection.settimeout(30)
        connection.sendall(head + CHUNK)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert recorded.arrived() == []


def test_a_body_of_a_gigabyte_is_refused_by_its_length_over_http_2(recorded: Recorded) -> None:
    with connected(recorded.client) as connection:
        headers = request_headers(INFER, ("content-length", str(GIGABYTE)), method="POST")
        connection.send(connection.headers(1, headers), DataFrame(1, CHUNK))
        assert connection.read(1).headers[":status"] == "413"
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
