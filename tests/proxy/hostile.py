"""Hostile requests over HTTP/1.1, HTTP/2 and gRPC: malformed at random (the same in each run), reset, or too large."""

from __future__ import annotations

import itertools
import random
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

from hyperframe.frame import RstStreamFrame

from tests.proxy.clients import Client, infer_request
from tests.proxy.http2 import PREFACE, Headers, connected, grpc_headers, request_headers

INFER = "/v2/models/linear_regression/infer"
CALL = "/inference.GRPCInferenceService/ModelInfer"
_SEED = 11
_TIMEOUT_SECONDS = 2
_VALID = b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
_MESSAGE = infer_request().SerializeToString()
_GRPC_BODY = b"\0" + len(_MESSAGE).to_bytes(4) + _MESSAGE
_CANCEL = 8
STREAMS = 100
GIGABYTE = 1 << 30
_MOST_SENT = 17 << 20
_CHUNK = bytes(16_000)


def send_http_1(client: Client, count: int) -> None:
    """Requests with changed, missing and random bytes, of which each has its own connection."""
    dice = random.Random(_SEED)
    for _ in range(count):
        with encrypted(client) as connection, suppress(OSError):
            connection.sendall(_damaged(dice, _VALID))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1024)


def send_malformed(client: Client) -> None:
    """A request that is not HTTP, on its own connection; returns after the response."""
    with encrypted(client) as connection:
        connection.sendall(b"\0\r\n\r\n")
        while connection.recv(1024):
            pass


def send_http_2(client: Client, connections: int, frames: int) -> None:
    """Frames of random types, flags, streams and content after a correct preface."""
    dice = random.Random(_SEED)
    for _ in range(connections):
        with encrypted(client, "h2") as connection, suppress(OSError):
            connection.sendall(PREFACE + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            connection.sendall(b"".join(_frame(dice) for _ in range(frames)))
            connection.recv(1024)


def send_grpc(client: Client, connections: int, calls: int) -> int:
    """Calls whose messages are damaged or have another length than they say; returns how many were answered."""
    dice = random.Random(_SEED)
    answered = 0
    for _ in range(connections):
        with connected(client) as connection:
            for _ in range(calls):
                message = _damaged(dice, _MESSAGE)
                length = len(message) if dice.random() < 0.7 else dice.randrange(1 << 32)
                prefix = bytes([dice.choice((0, 0, 0, 1, 255))]) + length.to_bytes(4)
                reply = connection.request(grpc_headers(CALL), prefix + message)
                answered += bool(reply.headers) or reply.reset is not None
                if reply.closed:
                    break
    return answered


def reset_streams(client: Client, path: str, timeout: float = 15) -> Generator[None]:
    """Open streams and reset each at once, a hundred per step, on one connection; an OSError is its end.

    Their headers are encoded once, so the client sends them as quickly as the proxy reads.
    """
    headers, body = (grpc_headers(path), _GRPC_BODY) if path == CALL else (_post(path), b"{}")
    with connected(client, timeout) as connection:
        connection.send(connection.headers(1, headers), RstStreamFrame(1, error_code=_CANCEL))
        # From now on the table of the connection contains all headers, so a list of them is always the same bytes.
        block = connection.headers(3, headers).data
        for first in itertools.count(3, 2 * STREAMS):
            connection.send(b"".join(_reset_stream(number, block, body) for number in _odd(first, STREAMS)))
            connection.discard()
            yield


def send_large_body(client: Client) -> bytes:
    """Announce a gigabyte, and send it until the proxy closes the connection, 17 MiB at most; returns the response."""
    with encrypted(client) as connection:
        connection.settimeout(30)
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIGABYTE}\r\n\r\n".encode())
        with suppress(ConnectionError, ssl.SSLError):
            for _ in range(_MOST_SENT // len(_CHUNK)):
                connection.sendall(_CHUNK)
        return connection.recv(65536)


def _reset_stream(number: int, headers: bytes, body: bytes) -> bytes:
    stream = number.to_bytes(4)
    return b"".join(
        [
            len(headers).to_bytes(3) + b"\1\4" + stream + headers,
            len(body).to_bytes(3) + b"\0\1" + stream + body,
            b"\0\0\4\3\0" + stream + _CANCEL.to_bytes(4),
        ]
    )


def _post(path: str) -> Headers:
    return request_headers(path, ("content-length", "2"), method="POST")


def _odd(first: int, count: int) -> range:
    return range(first, first + 2 * count, 2)


def flood(client: Client, frame: bytes, count: int) -> None:
    """Send one frame many times after a correct preface, and do not read."""
    with encrypted(client, "h2") as connection, suppress(OSError):
        connection.sendall(PREFACE + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        for _ in range(count // 100):
            connection.sendall(frame * 100)


@contextmanager
def encrypted(client: Client, protocol: str = "http/1.1") -> Iterator[ssl.SSLSocket]:
    """A connection with TLS."""
    context = client.context()
    context.set_alpn_protocols([protocol])
    with (
        client.connect(_TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def _damaged(dice: random.Random, valid: bytes) -> bytes:
    """The bytes with some of them changed, removed, repeated or replaced."""
    data = bytearray(valid)
    for _ in range(dice.randrange(1, 5)):
        start = dice.randrange(len(data) + 1)
        end = min(len(data), start + dice.randrange(1, 9))
        match dice.randrange(4):
            case 0:
                del data[start:end]
            case 1:
                data[start:end] = dice.randbytes(end - start)
            case 2:
                data[start:start] = data[start:end] * dice.randrange(1, 40)
            case _:
                data[start:start] = dice.choice((b"\0", b"\r\n", b"\n", b" ", b"%00", b"\xff" * 9, b":", b"chunked"))
    return bytes(data)


def _frame(dice: random.Random) -> bytes:
    content = dice.randbytes(dice.randrange(64))
    length = len(content) if dice.random() < 0.9 else dice.randrange(1 << 24)
    stream = dice.choice((0, 1, 3, 2, dice.randrange(1 << 32)))
    return length.to_bytes(3) + bytes([dice.randrange(12), dice.randrange(256)]) + stream.to_bytes(4) + content
