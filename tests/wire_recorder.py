"""Record the bytes that a gRPC client sends, with a proxy on loopback, and extract the messages from them.

The parser supports only the HTTP/2 that plain gRPC uses: DATA frames of the client's streams, without padding.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_MESSAGE_HEADER = 5
_DATA = 0
_PAUSE_SECONDS = 0.1


@dataclass
class Recorder:
    """Listens on `address`; `sent` contains all bytes of its only client, in order."""

    address: str
    sent: bytearray = field(default_factory=bytearray)
    closed: threading.Event = field(default_factory=threading.Event)

    def messages(self) -> list[bytes]:
        """Return the client's gRPC messages (encoded protobuf)."""
        data = b"".join(_data_frames(bytes(self.sent)))
        messages = []
        while data:
            size = int.from_bytes(data[1:_MESSAGE_HEADER], "big")
            messages.append(data[_MESSAGE_HEADER : _MESSAGE_HEADER + size])
            data = data[_MESSAGE_HEADER + size :]
        return messages


@contextmanager
def recorded(target: str) -> Iterator[Recorder]:
    """Forward connections to `target` (host:port); they are refused until a server listens there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        recorder = Recorder(f"127.0.0.1:{listener.getsockname()[1]}")
        forwarder = threading.Thread(target=_serve, args=(listener, target, recorder))
        forwarder.start()
        try:
            yield recorder
        finally:
            with suppress(OSError):  # Not listening yet.
                listener.shutdown(socket.SHUT_RDWR)
            recorder.closed.set()
            forwarder.join()


def _serve(listener: socket.socket, target: str, recorder: Recorder) -> None:
    """Forward until the listener is shut down."""
    with suppress(OSError), ExitStack() as opened:
        _connect(target, recorder).close()
        listener.listen()
        while True:
            near, _ = listener.accept()
            far = _connect(target, recorder)
            for source, sink, kept in ((near, far, recorder.sent), (far, near, None)):
                pump = threading.Thread(target=_pump, args=(opened.enter_context(source), sink, kept))
                opened.callback(pump.join)
                pump.start()


def _connect(target: str, recorder: Recorder) -> socket.socket:
    """Connect to the target, retrying until it listens or the recorder is closed."""
    host, port = target.rsplit(":", 1)
    while not recorder.closed.wait(_PAUSE_SECONDS):
        with suppress(ConnectionRefusedError):
            return socket.create_connection((host, int(port)))
    raise OSError("the recorder is closed")


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            if kept is not None:
                kept += content
            sink.sendall(content)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _data_frames(stream: bytes) -> Iterator[bytes]:
    assert stream.startswith(_PREFACE)
    stream = stream[len(_PREFACE) :]
    while len(stream) >= _FRAME_HEADER:
        size = int.from_bytes(stream[:3], "big")
        if stream[3] == _DATA:
            yield stream[_FRAME_HEADER : _FRAME_HEADER + size]
        stream = stream[_FRAME_HEADER + size :]
