"""A fake inference server on loopback that implements the KServe v2 protocol over HTTP and gRPC.

It echoes: each model returns an input `x` as the output `x`, and `INPUT__0` as `OUTPUT__0`; `broken` returns an error
with Triton's words. A test can therefore use the real tritonclient without Triton. A `Backend` defines the models,
injects faults, and records the requests.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.web_server import serving

COMPLAINT = "[request id: <id_unknown>] expected 2 dimensions"
REFUSED = {401: "no valid token", 403: "this caller may not use this model"}
"""The messages of the proxy by HTTP status."""
BUSY = "Exceeds maximum queue size"
CLOSED = "This API is restricted, expecting header 'CLOSED:TO-ALL'"
_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/\d+)?(?:/(infer|ready|config))?")

Tensors = dict[str, tuple[str, list[int]]]
"""Datatype and shape by input name; outputs are their echo."""


@dataclass
class Model:
    """One model. `tensors` is None if its metadata is not available, and `max_batch_size` for its configuration."""

    tensors: Tensors | None = None
    max_batch_size: int | None = None
    most_rows: int = 1 << 31
    optional: frozenset[str] = frozenset()

    def metadata(self, name: str) -> dict[str, Any]:
        """The v2 model metadata."""
        inputs = [{"name": each, "datatype": kind, "shape": shape} for each, (kind, shape) in self.declared.items()]
        outputs = [each | {"name": _echoed(str(each["name"]))} for each in inputs]
        return {"name": name, "versions": ["1"], "platform": "echo", "inputs": inputs, "outputs": outputs}

    def config(self, name: str) -> dict[str, Any]:
        """The part of the configuration that clients read."""
        inputs = [{"name": each, "optional": each in self.optional} for each in self.declared]
        return {"name": name, "max_batch_size": self.max_batch_size, "input": inputs}

    @property
    def declared(self) -> Tensors:
        """The tensors of a model with available metadata."""
        assert self.tensors is not None
        return self.tensors


def _models() -> dict[str, Model]:
    return {
        "echo": Model(),
        "broken": Model(),
        "digits": Model({"INPUT__0": ("FP32", [-1, 1, 28, 28])}),
    }


@dataclass
class Backend:
    """The models and the received requests. The next `busy` inferences are rejected, and the next `cut` are cut off."""

    models: dict[str, Model] = field(default_factory=_models)
    busy: int = 0
    cut: int = 0
    hold: threading.Event | None = None
    """Inferences wait for this event, and streams wait for it after each response."""
    received: list[str] = field(default_factory=list)
    """`metadata`, `config`, `ready` or `infer`, and the model."""
    at_a_time: int = 0
    """The maximum number of concurrent inferences."""
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released at the start of each inference."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when a stream has ended."""
    call_cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when a client has cancelled a gRPC call before the response."""
    headers: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """The accepted tokens; if there are none, a request needs none."""
    forbidden: set[str] = field(default_factory=set)
    """Models that no caller may use."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    @property
    def inferences(self) -> int:
        """The number of received inferences."""
        return sum(each.startswith("infer") for each in self.received)

    def refusal(self, headers: dict[str, str], model: str) -> int:
        """The HTTP status with which the proxy refuses a request, or 0."""
        if self.tokens and headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401
        return 403 if model in self.forbidden else 0

    def note(self, what: str, model: str) -> None:
        """Record a request."""
        with self._lock:
            self.received.append(f"{what} {model}")

    def takes(self, counter: str) -> bool:
        """Whether a fault of this type remains; consumes it."""
        with self._lock:
            left = getattr(self, counter)
            setattr(self, counter, max(0, left - 1))
            return bool(left)

    @contextmanager
    def running(self) -> Iterator[None]:
        """One inference."""
        with self._lock:
            self._running += 1
            self.at_a_time = max(self.at_a_time, self._running)
        self.begun.release()
        try:
            if self.hold:
                self.hold.wait(30)
            yield
        finally:
            with self._lock:
                self._running -= 1

    def complaint(self, name: str, rows: list[int]) -> str:
        """The error for a request, in Triton's words; empty if it is valid."""
        if name == "broken":
            return COMPLAINT
        most = self.models[name].most_rows
        if max(rows, default=0) > most:
            return f"[request id: <id_unknown>] inference request batch-size must be <= {most} for '{name}'"
        return ""


@contextmanager
def http_server(backend: Backend | None = None) -> Iterator[str]:
    """Yield the address `127.0.0.1:PORT` of an HTTP server."""
    handler = type("Handler", (_Handler,), {"backend": backend or Backend()})
    server = _Server(("127.0.0.1", 0), handler)
    with serving(server):
        yield f"127.0.0.1:{server.server_port}"


@contextmanager
def grpc_server(backend: Backend | None = None) -> Iterator[str]:
    """Yield the address `127.0.0.1:PORT` of a gRPC server."""
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(backend or Backend()), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection before the response."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    backend: Backend

    def do_GET(self) -> None:
        name, what = self._target()
        model = self.backend.models.get(name)
        if status := self._refusal(name):
            self._error(status, REFUSED[status])
        elif what == "ready":
            self._answer(200 if model and name != "broken" else 400, b"")
        elif model is None:
            self._error(404, f"Request for unknown model: '{name}' is not found")
        elif model.tensors is None or (what == "config" and model.max_batch_size is None):
            self._error(403, CLOSED)
        else:
            self._answer(200, json.dumps(model.config(name) if what == "config" else model.metadata(name)).encode())

    def do_POST(self) -> None:
        name, _ = self._target()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if status := self._refusal(name):
            self._error(status, REFUSED[status])
        elif name not in self.backend.models:
            self._error(404, f"Request for unknown model: '{name}' is not found")
        elif self.backend.takes("busy"):
            self._error(503, BUSY)
        elif self.backend.takes("cut"):
            self.close_connection = True
        else:
            with self.backend.running():
                self._infer(name, body)

    def _refusal(self, name: str) -> int:
        return self.backend.refusal({key.lower(): value for key, value in self.headers.items()}, name)

    def _infer(self, name: str, body: bytes) -> None:
        length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        inputs = json.loads(body[:length])["inputs"]
        if complaint := self.backend.complaint(name, [tensor["shape"][0] for tensor in inputs if tensor["shape"]]):
            self._error(400, complaint)
            return
        outputs = [_echo_json(tensor) for tensor in inputs]
        head = json.dumps({"model_name": name, "model_version": "1", "outputs": outputs}).encode()
        self._answer(200, head + body[length:], {"Inference-Header-Content-Length": str(len(head))})

    def _target(self) -> tuple[str, str]:
        match = _PATH.fullmatch(self.path)
        assert match, self.path
        name, what = match[1], match[2] or "metadata"
        self.backend.note(what, name)
        self.backend.headers.append(dict(self.headers))
        return name, what

    def _error(self, status: int, message: str) -> None:
        self._answer(status, json.dumps({"error": message}).encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests."""


def _echoed(name: str) -> str:
    return name.replace("INPUT", "OUTPUT")


def _echo_json(tensor: dict[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = {
        name: tensor[name] for name in ("name", "shape", "datatype", "parameters", "data") if name in tensor
    }
    output["name"] = _echoed(output["name"])
    return output


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - its name in the protocol.
        self._record("ready", request.name, context)
        ready = request.name in self.backend.models and request.name != "broken"
        return service_pb2.ModelReadyResponse(ready=ready)

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above.
        model = self._model("metadata", request.name, context)
        if model.tensors is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, CLOSED)
        metadata = model.metadata(request.name)
        answer = service_pb2.ModelMetadataResponse(
            name=metadata["name"], versions=metadata["versions"], platform="echo"
        )
        for field_name in ("inputs", "outputs"):
            for tensor in metadata[field_name]:
                getattr(answer, field_name).add(**tensor)
        return answer

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above.
        model = self._model("config", request.name, context)
        if model.tensors is None or model.max_batch_size is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, CLOSED)
        answer = service_pb2.ModelConfigResponse()
        answer.config.name, answer.config.max_batch_size = request.name, model.max_batch_size
        for tensor in model.config(request.name)["input"]:
            answer.config.input.add(**tensor)
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above.
        self._model("infer", request.model_name, context)
        if self.backend.takes("busy"):
            context.abort(grpc.StatusCode.UNAVAILABLE, BUSY)
        with self.backend.running():
            if complaint := self.backend.complaint(request.model_name, _rows(request)):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, complaint)
            if not context.is_active():
                self.backend.call_cancelled.set()
            return _echo_grpc(request)

    def ModelStreamInfer(self, requests: Any, context: Any) -> Any:  # noqa: N802 - as above.
        """Send as many responses to each request as its first value states; indefinitely if it is negative."""
        context.add_callback(self.backend.cancelled.set)
        for request in requests:
            self.backend.note("stream", request.model_name)
            if complaint := self.backend.complaint(request.model_name, _rows(request)):
                yield service_pb2.ModelStreamInferResponse(error_message=complaint)
                continue
            left = int.from_bytes(request.raw_input_contents[0][:4], "little", signed=True)
            while left and context.is_active():
                left -= 1
                yield service_pb2.ModelStreamInferResponse(infer_response=_echo_grpc(request))
                if self.backend.hold:
                    self.backend.hold.wait(30)
            if not context.is_active():
                self.backend.call_cancelled.set()

    def _model(self, what: str, name: str, context: Any) -> Model:
        self._record(what, name, context)
        if name not in self.backend.models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.backend.models[name]

    def _record(self, what: str, name: str, context: Any) -> None:
        headers = dict(context.invocation_metadata())
        self.backend.note(what, name)
        self.backend.headers.append(headers)
        if status := self.backend.refusal(headers, name):
            code = grpc.StatusCode.UNAUTHENTICATED if status == 401 else grpc.StatusCode.PERMISSION_DENIED
            context.abort(code, REFUSED[status])


def _rows(request: Any) -> list[int]:
    return [tensor.shape[0] for tensor in request.inputs if tensor.shape]


def _echo_grpc(request: Any) -> Any:
    answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
    for tensor in request.inputs:
        answer.outputs.add(name=_echoed(tensor.name), datatype=tensor.datatype, shape=tensor.shape)
    answer.raw_output_contents.extend(request.raw_input_contents)
    return answer
