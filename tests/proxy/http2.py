"""Send HTTP/2 frames that no client would send, and read what the server answers.

Input: a Client, header lists in any order and spelling. Output: a Reply for each request: the status, the headers, or
how the server refused the stream or the connection.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.proxy.clients import Client

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_WINDOW = 1 << 24

Headers = Sequence[tuple[str, str]]


@dataclass
class Reply:
    """What arrived for one request; `closed` means that the server ended the connection, with or without GOAWAY."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None
    closed: bool = False
    ended: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing more follows."""
        return self.closed or self.ended or self.reset is not None

    @property
    def status(self) -> str:
        """The status of HTTP; "refused" if the stream or the connection ended without one."""
        return self.headers.get(":status", "refused")

    @property
    def admitted(self) -> bool:
        """Whether the server answered as it answers a request that it passes on."""
        return self.headers.get(":status") == "200" and self.headers.get("grpc-status", "0") == "0"

    @property
    def refused(self) -> bool:
        """Whether the server answered at all, and not as to a request that it passes on."""
        answered = self.reset is not None or self.closed or ":status" in self.headers
        return answered and not self.admitted

    def add(self, frame: Frame, headers: dict[str, str] | None = None) -> None:
        """Add a frame of the stream."""
        self.headers |= headers or {}
        if isinstance(frame, RstStreamFrame):
            self.reset = frame.error_code
        elif isinstance(frame, DataFrame):
            self.body += frame.data
        self.ended = "END_STREAM" in frame.flags


class Connection:
    """One connection; requests use the odd stream IDs in order. `settings` are those that the server has sent."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._buffer = b""
        self.next_stream = 1
        self.settings: dict[int, int] = {}
        self.send(PREFACE, SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: _WINDOW}))

    def send(self, *parts: bytes | Frame) -> None:
        """Send frames or bytes at once."""
        self._socket.sendall(b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts))

    def headers(self, stream: int, headers: Headers, *flags: str) -> HeadersFrame:
        """A frame with headers as they are; a list of headers must not be encoded twice."""
        frame = HeadersFrame(stream, flags=["END_HEADERS", *flags])
        frame.data = self._encoder.encode(headers, huffman=False)
        return frame

    def request(self, headers: Headers, body: bytes | None = None, trailers: Headers = ()) -> Reply:
        """Send one request, and read until the server has finished with it."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        frames: list[Frame] = [self.headers(stream, headers, *([] if body is not None or trailers else ["END_STREAM"]))]
        if body is not None:
            frames.append(DataFrame(stream, body, flags=[] if trailers else ["END_STREAM"]))
        if trailers:
            frames.append(self.headers(stream, trailers, "END_STREAM"))
        try:
            self.send(*frames)
        except OSError:
            return Reply(closed=True)
        return self.read(stream)

    def read(self, stream: int) -> Reply:
        """Read until the server has finished with a stream; answers nothing but settings and pings."""
        reply = Reply()
        while not reply.finished:
            match frame := self._frame():
                case None:
                    reply.closed = True
                case GoAwayFrame():
                    reply.closed = bool(frame.error_code) or frame.last_stream_id < stream
                case SettingsFrame() | PingFrame() if "ACK" not in frame.flags:
                    self._acknowledge(frame)
                case HeadersFrame():
                    # Decoded for other streams too: the decoder has state.
                    headers = {_text(name): _text(value) for name, value in self._decoder.decode(frame.data)}
                    if frame.stream_id == stream:
                        reply.add(frame, headers)
                case _ if frame.stream_id == stream:
                    reply.add(frame)
        return reply

    def discard(self) -> None:
        """Forget what has arrived; raises OSError if the server has closed the connection."""
        timeout = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            while self._socket.recv(65536):
                pass
            raise ConnectionError("the server closed the connection")
        except (ssl.SSLWantReadError, BlockingIOError):
            self._socket.settimeout(timeout)

    def _acknowledge(self, frame: SettingsFrame | PingFrame) -> None:
        if isinstance(frame, SettingsFrame):
            self.settings |= frame.settings
        data = frame.opaque_data if isinstance(frame, PingFrame) else b""
        self.send(PingFrame(opaque_data=data, flags=["ACK"]) if data else SettingsFrame(flags=["ACK"]))

    def _frame(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        if not self._fill(_FRAME_HEADER):
            return None
        frame, length = Frame.parse_frame_header(memoryview(self._buffer[:_FRAME_HEADER]))
        if not self._fill(_FRAME_HEADER + length):
            return None
        frame.parse_body(memoryview(self._buffer[_FRAME_HEADER : _FRAME_HEADER + length]))
        self._buffer = self._buffer[_FRAME_HEADER + length :]
        return frame

    def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            try:
                chunk = self._socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return False
            if not chunk:
                return False
            self._buffer += chunk
        return True


@contextmanager
def connected(client: Client, timeout: float = 15) -> Iterator[Connection]:
    """Connect with TLS and the protocol `h2`."""
    context = client.context()
    context.set_alpn_protocols(["h2"])
    with (
        client.connect(timeout) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        yield Connection(encrypted)


def window_update(stream: int, increment: int) -> Frame:
    """A frame that lets the server send more."""
    return WindowUpdateFrame(stream, window_increment=increment)


def request_headers(
    path: str, *more: tuple[str, str], method: str = "GET", authority: str = "localhost", scheme: str = "https"
) -> list[tuple[str, str]]:
    """Headers as a client sends them, and `more`."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


def grpc_headers(path: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Headers of a gRPC call."""
    return request_headers(path, ("content-type", "application/grpc"), ("te", "trailers"), *more, method="POST")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
