"""A server in Triton's place that answers every request and records it.

Output: the requests that the proxy passes on, over HTTP/1.1 and gRPC. A test shows with it that a refused request never
arrives, however Triton would read it.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import ClassVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from triton_operator.local.ports import ADDRESS, Ports

_SECONDS = 10


@dataclass(frozen=True)
class Arrived:
    """One request: `head` is the request line and the headers, or the header list of a gRPC call, as lines."""

    path: str
    head: tuple[str, ...]
    body: bytes = b""


class Record:
    """All requests, in the order of arrival."""

    def __init__(self) -> None:
        self._requests: list[Arrived] = []
        self._changed = threading.Condition()

    def add(self, request: Arrived) -> None:
        """Record one."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def take(self, *last: str) -> list[Arrived]:
        """Wait for requests of the paths `last`; returns and forgets those that arrived besides them."""
        with self._changed:
            assert self._changed.wait_for(lambda: {each.path for each in self._requests} >= {*last}, _SECONDS), last
            found, self._requests = self._requests, []
            return [each for each in found if each.path not in last]


class _Http(socketserver.StreamRequestHandler):
    """HTTP/1.1, read strictly: lines end with CRLF, and Content-Length or chunks delimit the body."""

    record: ClassVar[Record]

    def handle(self) -> None:
        with suppress(OSError):
            while head := self._head():
                self.record.add(Arrived(head[0].split(" ")[1], head, self._body(head[1:])))
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def _head(self) -> tuple[str, ...]:
        lines = []
        while line := self.rfile.readline():
            if not line.endswith(b"\r\n"):
                self.record.add(Arrived("not HTTP", (repr(line),)))
            if line == b"\r\n":
                break
            lines.append(line[:-2].decode("latin-1"))
        return tuple(lines)

    def _body(self, headers: tuple[str, ...]) -> bytes:
        fields = dict(header.lower().split(": ", 1) for header in headers)
        if "transfer-encoding" in fields:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
            return body
        return self.rfile.read(int(fields.get("content-length", 0)))


class _Grpc(socketserver.BaseRequestHandler):
    """HTTP/2 that answers every call with the status 0 and no message."""

    record: ClassVar[Record]

    def handle(self) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        connection.initiate_connection()
        plain: socket.socket = self.request
        with suppress(OSError, h2.exceptions.ProtocolError):
            plain.sendall(connection.data_to_send())
            while data := plain.recv(65536):
                for event in connection.receive_data(data):
                    match event:
                        case h2.events.RequestReceived():
                            headers = [(str(name), str(value)) for name, value in event.headers]
                            head = tuple(f"{name}: {value}" for name, value in headers)
                            self.record.add(Arrived(dict(headers)[":path"], head))
                        case h2.events.DataReceived():
                            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        case h2.events.StreamEnded():
                            answer = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")]
                            connection.send_headers(event.stream_id, answer, end_stream=True)
                plain.sendall(connection.data_to_send())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def recording_backend() -> Iterator[tuple[Ports, Record]]:
    """Listen for HTTP and gRPC on free ports of loopback."""
    record = Record()
    with ExitStack() as opened:
        servers = []
        for handler in (_Http, _Grpc):
            bound = type(handler.__name__, (handler,), {"record": record})
            server = opened.enter_context(_Server((ADDRESS, 0), bound))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            opened.callback(thread.join)
            opened.callback(server.shutdown)
            servers.append(int(server.server_address[1]))
        yield Ports(http=servers[0], grpc=servers[1], metrics=0), record
