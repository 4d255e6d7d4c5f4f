"""A cluster for tests of commands: an API server on loopback with preset responses, and a kubeconfig for it.

Input: objects, logs, changes and failures. Output: the received requests. It does not implement the rules of an API
server; tests in `tests/apiserver` use the real server for these.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fake_kubectl import FakeKubectl

Object = dict[str, Any]

NAMESPACE = "models"
"""The namespace of the kubeconfig's context."""
DEPLOYMENTS = "modeldeployments"
PLAIN = {"http": "http://digits.models.svc:8000", "grpc": "digits.models.svc:8001"}
"""Addresses in the status of a deployment without TLS."""


@dataclass
class FakeCluster:
    """Objects are stored by the plural of their kind, and other documents by their path."""

    folder: Path
    kubectl: FakeKubectl
    url: str = ""
    requests: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    """The bodies of all requests; None for a request without one."""
    _objects: dict[str, list[Object]] = field(default_factory=dict)
    _documents: dict[str, Object] = field(default_factory=dict)
    _changes: dict[str, list[Object]] = field(default_factory=dict)
    _logs: dict[tuple[str, str], str] = field(default_factory=dict)
    _failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    _failures_once: dict[str, tuple[int, int | None, Object | None]] = field(default_factory=dict)
    requested: threading.Event = field(default_factory=threading.Event)
    _hangs: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def running(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
        """Serve while the block runs, with KUBECONFIG set."""
        cluster = cls(folder, FakeKubectl.install(folder, monkeypatch))
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
        server.daemon_threads = True
        cluster.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(folder, cluster.url)))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield cluster
        finally:
            cluster._ended.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, deployment: Object, pods: list[Object] | None = None) -> None:
        """Store this ModelDeployment, with these pods as its only children; by default, its operator reports no TLS."""
        status = {"endpoints": PLAIN, **deployment.get("status", {})}
        self.put(DEPLOYMENTS, deployment | {"status": status})
        self.put("pods", *(pods or []))

    def put(self, plural: str, *objects: Object) -> None:
        """Replace all objects of a kind."""
        self._objects[plural] = [*objects]

    def children(self, *objects: Object) -> None:
        """Replace all objects except ModelDeployments."""
        for each in objects:
            self.put(_plural(each["kind"]), *(other for other in objects if other["kind"] == each["kind"]))

    def document(self, path: str, body: Object) -> None:
        """Return this document at a path, such as `/version`."""
        self._documents[path] = body

    def grant(self, path: str, token: str, expires: str) -> None:
        """Answer the TokenRequest at this path."""
        self._documents[path] = {"kind": "TokenRequest", "status": {"token": token, "expirationTimestamp": expires}}

    def watch(self, *objects: Object, plural: str = DEPLOYMENTS) -> None:
        """Send these objects or events to the next watch, one after the other, and keep it open."""
        self._changes[plural] = [each if "object" in each else {"type": "MODIFIED", "object": each} for each in objects]

    def log(self, pod: str, container: str, text: str) -> None:
        """Set the log of a container."""
        self._logs[pod, container] = text

    def fail(self, requests: str, code: int, message: str) -> None:
        """Return an error to requests for a kind, or only to those with a verb: `list pods`, `patch pods`."""
        self._failures[requests] = (code, message)

    def fail_once(
        self, requests: str, code: int, *, retry_after: int | None = None, changed: Object | None = None
    ) -> None:
        """Return an error to the next of these requests, optionally with `Retry-After` in seconds.

        `changed` is the ModelDeployment as another program has changed it meanwhile.
        """
        self._failures_once[requests] = (code, retry_after, changed)

    def hang(self, plural: str) -> None:
        """Never respond to requests for a kind."""
        self._hangs.add(plural)

    def forward(self, address: str) -> None:
        """Make `kubectl port-forward` report that it forwards this address."""
        self.kubectl.forward(address)

    @property
    def calls(self) -> list[str]:
        """All command lines of kubectl."""
        return self.kubectl.calls

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to one request."""
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.requests.append(f"{handler.command} {handler.path}")
        self.requested.set()
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)) or b"null")
        self.bodies.append(body)
        plural, name = _place(url.path)
        if plural in self._hangs:
            self._ended.wait()
        verb = _verb(handler.command, name, query)
        once = self._failures_once.pop(f"{verb} {plural}", None) or self._failures_once.pop(plural, None)
        if once:
            code, retry_after, changed = once
            if changed:
                self.answer(changed)
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            _send(handler, code, _status(code, "once", name), headers)
        elif failure := self._failures.get(f"{verb} {plural}") or self._failures.get(plural):
            _send(handler, failure[0], _status(*failure, name))
        elif url.path.endswith("/log"):
            self._send_log(handler, name, query)
        elif "watch" in query:
            self._stream(handler, [json.dumps(each) for each in self._changes.get(plural, [])])
        elif url.path in self._documents:
            _send(handler, HTTPStatus.OK, self._documents[url.path])
        elif handler.command == "DELETE":
            self._objects[plural] = [each for each in self._objects[plural] if each["metadata"]["name"] != name]
            _send(handler, HTTPStatus.OK, {})
        elif handler.command == "POST":
            _send(handler, HTTPStatus.CREATED, self._review(body))
        else:
            _send(handler, *self._read(plural, name, query))

    def _read(self, plural: str, name: str, query: dict[str, str]) -> tuple[int, Object]:
        objects = self._objects.get(plural, [])
        chosen = name or query.get("fieldSelector", "").removeprefix("metadata.name=")
        matching = [each for each in objects if chosen in {"", each["metadata"]["name"]}]
        if not name:
            return HTTPStatus.OK, {"metadata": {"resourceVersion": "1"}, "items": matching}
        if not matching:
            return HTTPStatus.NOT_FOUND, _status(HTTPStatus.NOT_FOUND, f'{plural} "{name}" not found', name)
        return HTTPStatus.OK, matching[0]

    def _review(self, body: Object) -> Object:
        """Allow every SelfSubjectAccessReview, except for `denied` resources."""
        attributes = body["spec"]["resourceAttributes"]
        denied = self._documents.get("denied", {}).get("resources", [])
        return {**body, "status": {"allowed": attributes["resource"] not in denied}}

    def _send_log(self, handler: BaseHTTPRequestHandler, pod: str, query: dict[str, str]) -> None:
        text = self._logs.get((pod, query["container"]), "")
        if "follow" in query:
            self._stream(handler, text.splitlines())
            return
        handler.send_response(HTTPStatus.OK)
        handler.send_header("Content-Length", str(len(text.encode())))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(text.encode())

    def _stream(self, handler: BaseHTTPRequestHandler, lines: list[str]) -> None:
        """Send lines, and keep the response open."""
        handler.send_response(HTTPStatus.OK)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for line in lines:
            data = f"{line}\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self._ended.wait()


def _handler(cluster: FakeCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Write nothing."""

        def handle_one_request(self) -> None:
            """Ignore clients that close the connection early."""
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def answer(self) -> None:
            """Respond to one request, and close the connection."""
            self.close_connection = True
            cluster.respond(self)

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


def _send(handler: BaseHTTPRequestHandler, code: int, body: Object, headers: Mapping[str, str] | None = None) -> None:
    data = json.dumps(body, default=str).encode()
    handler.send_response(code)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method == "PATCH":
        return "patch"
    if name:
        return "get"
    return "watch" if "watch" in query else "list"


def _status(code: int, message: str, name: str = "") -> Object:
    return {"kind": "Status", "code": code, "message": message, "details": {"name": name} if name else {}}


def _place(path: str) -> tuple[str, str]:
    """The plural and the name in a URL path: /api/VERSION/… or /apis/GROUP/VERSION/…, with or without a namespace."""
    parts = path.strip("/").split("/")[2 if path.startswith("/api/") else 3 :]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    plural, name = [*parts, "", ""][:2]
    return plural, name


def _plural(kind: str) -> str:
    return f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"


def write_kubeconfig(folder: Path, url: str, **cluster: Any) -> Path:
    """A kubeconfig whose current context is `here`."""
    file = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(json.dumps(config))
    return file
