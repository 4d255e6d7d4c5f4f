"""A web server on loopback in the test's process, which serves files with ranges and ETags, and can inject faults.

It uses TLS if a certificate is given. `requests` contains the received requests.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Answer:
    """A response instead of a file."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """A received request."""

    path: str
    headers: dict[str, str]


@dataclass
class Web:
    """The content and behaviour of the server, which a test can change while it runs.

    `answer` can replace the response to a request. The next `breaks` connections are cut after `break_after` bytes.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    answer: Callable[[Request], Answer | None] = lambda request: None
    break_after: int = 0
    breaks: int = 0
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: Request) -> Answer:
        """Return the response to a request."""
        self.requests.append(request)
        path = request.path.partition("?")[0]
        if answer := self.answer(request):
            return answer
        if path not in self.files:
            return Answer(404)
        content = self.files[path]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"'} if self.ranges else {}
        range_match = _RANGE.fullmatch(request.headers.get("range", "")) if self.ranges else None
        if range_match is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
            return Answer(200, content, headers)
        start, end = int(range_match[1]), min(int(range_match[2]) + 1, len(content))
        return Answer(206, content[start:end], headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"})

    def is_to_break(self) -> bool:
        """Whether to cut this connection."""
        with self.lock:
            self.breaks -= 1
            return self.breaks >= 0


@contextmanager
def web_server(files: dict[str, bytes] | None = None, certificate: Path | None = None) -> Iterator[Web]:
    """Serve until the block ends; `certificate` is the path of a .crt next to its .key."""
    web = Web(files=dict(files or {}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    server.daemon_threads = True
    web.port = server.server_port
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield web


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = web.reply(Request(self.path, {key.lower(): value for key, value in self.headers.items()}))
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if len(answer.body) > web.break_after and web.is_to_break():
                self.wfile.write(answer.body[: web.break_after])
                self.close_connection = True
            else:
                self.wfile.write(answer.body)

        def do_POST(self) -> None:
            self.do_GET()  # The body is ignored.

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler
