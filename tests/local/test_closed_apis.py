"""Administrative APIs require a header that no request can contain: send raw requests to a real Triton.

As a positive control, the API `logging` requires a valid header. Requests with that header succeed, so the other
requests fail because of the header's name and not because of the client.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cache import cache_dir
from tests.builders import a_deployment
from triton_operator.cli.terminal.progress import step
from triton_operator.local.command import ServerContext, server_command, server_variables
from triton_operator.local.environment import ensure_environment, link_backends, plan_environment
from triton_operator.local.folders import run_folder
from triton_operator.local.models import adapt, stage_models
from triton_operator.local.ports import ADDRESS, Ports, choose_ports
from triton_operator.local.server import running_server
from triton_operator.triton.server.flags import ADMIN_APIS, CLOSED

MODELS = Path(__file__).parents[2] / "model_repository"
NAME, VALUE = CLOSED.encode().split(b"=")
CONTROL = (b"control", b"key")
HTTP = {
    "shared-memory": b"GET /v2/systemsharedmemory/status",
    "model-config": b"GET /v2/models/digits/config",
    "model-repository": b"POST /v2/repository/index",
    "statistics": b"GET /v2/models/digits/stats",
    "trace": b"GET /v2/trace/setting",
}
GRPC = {
    "shared-memory": b"SystemSharedMemoryStatus",
    "model-config": b"ModelConfig",
    "model-repository": b"RepositoryIndex",
    "statistics": b"ModelStatistics",
    "trace": b"TraceSetting",
}
HEADERS = [
    b"%N: %V\r\n",
    b"%N:%V\r\n",
    b"%N : %V\r\n",
    b":%N: %V\r\n",
    b"%N:: %V\r\n",
    b"%N:\r\n\t%V\r\n",
    b"%N\r\n\t: %V\r\n",
    b"\0%N: %V\r\n",
    b"%N\0: %V\r\n",
    b"%N: %V\0\r\n",
    b"%N: %V\n",
    b"%N: %V\r",
    b"A: B\r%N: %V\r\n",
    b"A: B\n%N: %V\r\n",
    b'"%N": %V\r\n',
    b"%N=%V\r\n",
    b"%N: %V\r\n%N: %V\r\n",
    b"Transfer-Encoding: chunked\r\nTrailer: %N\r\n\r\n0\r\n%N: %V\r\n",
]
METADATA = [b"triton-grpc-protocol-" + NAME, b"triton-grpc-protocol-" + NAME.lower(), b"triton-grpc-protocol-"]


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    """Start a server with the operator's flags, except that the logging API requires a valid header."""
    deployment, _ = adapt(a_deployment(modelRepository={"image": {"reference": "m"}}, models=[{"name": "digits"}]))
    cache = cache_dir() / "local"
    chosen = choose_ports()
    with run_folder(cache) as folder:
        staged = stage_models(deployment, MODELS, folder, cache)
        context = ServerContext(ensure_environment(plan_environment(cache), step), folder, chosen)
        link_backends(context.environment, folder / "backends")
        closed = f"{','.join(api for api in ADMIN_APIS if api != 'logging')}:{CLOSED}"
        words = server_command(deployment.spec, context, staged)
        rest = [word for word in words if "-restricted-" not in word]
        assert len(rest) == len(words) - 2
        for flag in ("--http-restricted-api", "--grpc-restricted-protocol"):
            rest += [f"{flag}={closed}", f"{flag}=logging:control=key"]
        with running_server(
            rest, server_variables(deployment.spec, context, os.environ), chosen, lambda _: None
        ) as server:
            server.wait_ready(120)
            yield chosen


def test_a_common_header_lets_the_raw_clients_in(ports: Ports) -> None:
    """The requests differ from the rejected ones only in the name of the header."""
    assert _over_http(ports, b"GET /v2/logging", _with(b"%N: %V\r\n", *CONTROL)).startswith(b"HTTP/1.1 200 ")
    assert b"403 Forbidden" in _over_http(ports, b"GET /v2/logging", b"")
    for kind in (0x00, 0x10, 0x40):
        assert _over_grpc(ports, b"LogSettings", _literal(b"triton-grpc-protocol-control", b"key", kind))
    assert not _over_grpc(ports, b"LogSettings", b"")


@pytest.mark.parametrize("api", HTTP)
def test_no_bytes_of_a_header_open_what_is_closed_over_http(ports: Ports, api: str) -> None:
    """The header is folded, contains a NUL, is repeated, or is a trailer; a header name cannot contain a colon."""
    for header in HEADERS:
        for name in (NAME, NAME.lower(), NAME.partition(b":")[0]):
            answer = _over_http(ports, HTTP[api], _with(header, name, VALUE))
            assert b" 200 " not in answer.split(b"\r\n")[0], (header, answer)


@pytest.mark.parametrize("api", GRPC)
def test_no_header_frame_opens_what_is_closed_over_grpc(ports: Ports, api: str) -> None:
    """Names that HTTP/2 forbids are sent in each representation, in several frames, and as a trailer."""
    for name in METADATA:
        for kind in (0x00, 0x10, 0x40):
            header = _literal(name, VALUE, kind)
            for size in (4096, 7):
                assert not _over_grpc(ports, GRPC[api], header, size=size), (name, kind)
            assert not _over_grpc(ports, GRPC[api], b"", trailer=header), (name, kind)
        assert not _over_grpc(ports, GRPC[api], _literal(name, VALUE, 0x40) + b"\xbe"), "named again by its index"
        assert not _over_grpc(ports, GRPC[api], _literal(name + b"-bin", b"bmV2ZXI", 0x00))


def _with(header: bytes, name: bytes, value: bytes) -> bytes:
    return header.replace(b"%N", name).replace(b"%V", value)


def _over_http(ports: Ports, request: bytes, header: bytes) -> bytes:
    """Return the beginning of the response; empty if the server closes the connection without one."""
    with socket.create_connection((ADDRESS, ports.http), timeout=10) as connection:
        connection.sendall(request + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        return _received(connection, 4096)


def _over_grpc(ports: Ports, method: bytes, header: bytes, *, size: int = 4096, trailer: bytes = b"") -> bool:
    """Whether the response to a call with this header (raw HPACK) contains a message."""
    common = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": b"/inference.GRPCInferenceService/" + method,
        b":authority": b"x",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    block = b"".join(_literal(name, value, 0x00) for name, value in common.items()) + header
    parts = [block[start : start + size] for start in range(0, len(block), size)]
    message = b"\x0a\x06digits" if method == b"ModelConfig" else b""
    frames = [_frame(0x4, 0, 0, b"")]
    frames += [
        _frame(0x9 if index else 0x1, 0x4 if index == len(parts) - 1 else 0, 1, part)
        for index, part in enumerate(parts)
    ]
    frames.append(_frame(0x0, 0 if trailer else 0x1, 1, struct.pack(">BI", 0, len(message)) + message))
    if trailer:
        frames.append(_frame(0x1, 0x5, 1, trailer))
    with socket.create_connection((ADDRESS, ports.grpc), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(frames))
        return _has_message(connection)


def _has_message(connection: socket.socket) -> bool:
    """Read frames until a message, or until a trailer, RST_STREAM or GOAWAY ends the stream."""
    while head := _received(connection, 9):
        kind, flags = head[3], head[4]
        _received(connection, int.from_bytes(head[:3]))
        if kind == 0x0:
            return True
        if kind in {0x3, 0x7} or (kind == 0x1 and flags & 0x1):
            return False
    return False


def _literal(name: bytes, value: bytes, kind: int) -> bytes:
    """Encode a header in HPACK as literals; the name and the value are shorter than 127 bytes."""
    return bytes([kind, len(name)]) + name + bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _received(connection: socket.socket, count: int) -> bytes:
    """Read `count` bytes; return fewer if the server closes the connection."""
    got = b""
    try:
        while len(got) < count and (chunk := connection.recv(count - len(got))):
            got += chunk
    except ConnectionError:
        pass
    return got
