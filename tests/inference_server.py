"""A server that speaks the KServe v2 protocol over HTTP and gRPC inside the test's process, on loopback.

It echoes: the models `echo` and `digits` answer each input `x` with an output `x`, and `INPUT__0` with `OUTPUT__0`; any
other fails with a sentence as Triton would. So a test sees which bytes the real tritonclient sends, without a Triton.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

MODELS = ("echo", "digits")
COMPLAINT = "[request id: <id_unknown>] expected 2 dimensions"


@contextmanager
def http_server() -> Iterator[str]:
    """Yield `127.0.0.1:PORT` that answers over HTTP."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_server() -> Iterator[str]:
    """Yield `127.0.0.1:PORT` that answers over gRPC."""
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path in [f"/v2/models/{model}/ready" for model in MODELS] else 400, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path not in [f"/v2/models/{model}/infer" for model in MODELS]:
            self._answer(400, json.dumps({"error": COMPLAINT}).encode())
            return
        length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        outputs = [_echo_json(tensor) for tensor in json.loads(body[:length])["inputs"]]
        head = json.dumps({"model_name": "echo", "model_version": "1", "outputs": outputs}).encode()
        self._answer(200, head + body[length:], {"Inference-Header-Content-Length": str(len(head))})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: pytest shows what matters."""


def _echo_json(tensor: dict[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = {
        name: tensor[name] for name in ("name", "shape", "datatype", "parameters", "data") if name in tensor
    }
    output["name"] = output["name"].replace("INPUT", "OUTPUT")
    return output


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - its name in the protocol.
        del context
        return service_pb2.ModelReadyResponse(ready=request.name in MODELS)

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above.
        if request.model_name not in MODELS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, COMPLAINT)
        answer = service_pb2.ModelInferResponse(model_name="echo", model_version="1")
        for tensor in request.inputs:
            answer.outputs.add(
                name=tensor.name.replace("INPUT", "OUTPUT"), datatype=tensor.datatype, shape=tensor.shape
            )
        answer.raw_output_contents.extend(request.raw_input_contents)
        return answer
