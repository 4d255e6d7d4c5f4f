"""Serialize one inference request, and send it repeatedly over several connections.

Input: a request. Output: a function for each connection, which sends the request once and returns an error message, for
`load`. The SDK builds and checks every request, which takes longer than a small model; here, it is serialized once. The
protocol: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, TypeAlias

import numpy as np

from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.protocol_json import RequestBody
from triton_operator.sdk.tensors import Array, data_type
from triton_operator.sdk.tls_errors import tls_failure

Send: TypeAlias = Callable[[], str]
"""Sends the request, waits for the response and returns an error message, or ""."""
Connect: TypeAlias = Callable[[], AbstractContextManager[Send]]
"""Opens a connection."""

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
_LONGEST_MESSAGE = 300


def connections(
    endpoint: ServerAddress, protocol: Protocol, model: str, request: RequestBody, timeout: float
) -> Connect:
    """Return a function that opens connections for this request; they connect when the first request is sent.

    `timeout`, in seconds, limits a request over HTTP. Requests over gRPC have no limit: Triton before 25.04 crashes
    when calls are cancelled, which a deadline does.
    """
    if protocol is Protocol.GRPC:
        content = grpc_request(model, request)
        return lambda: _over_grpc(endpoint, content)
    head, body = http_request(request)
    return lambda: _over_http(endpoint, model, head, body, timeout)


def http_request(request: RequestBody) -> tuple[dict[str, str], bytes]:
    """Headers and body of a v2 request, with the tensors as binary data after the JSON."""
    tensors, contents = [], []
    for name, array in request.inputs.items():
        contents.append(raw(array, name))
        size = {"binary_data_size": len(contents[-1])}
        tensors.append(
            {"name": name, "shape": list(array.shape), "datatype": data_type(array, name), "parameters": size}
        )
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in request.outputs]
    body: dict[str, Any] = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    head = json.dumps({**body, "outputs": outputs} if outputs else body).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return headers, head + b"".join(contents)


def grpc_request(model: str, request: RequestBody) -> bytes:
    """The request as a serialized ModelInferRequest."""
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest(model_name=model)
    for name, array in request.inputs.items():
        message.inputs.add(name=name, datatype=data_type(array, name), shape=array.shape)
        message.raw_input_contents.append(raw(array, name))
    for name in request.outputs:
        message.outputs.add(name=name)
    content: bytes = message.SerializeToString()
    return content


def raw(array: Array, name: str) -> bytes:
    """The values of an array in row-major order; each string is preceded by its length."""
    if data_type(array, name) != "BYTES":
        return np.ascontiguousarray(array).tobytes()
    texts = (value if isinstance(value, bytes) else str(value).encode() for value in array.reshape(-1))
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


@contextmanager
def _over_http(
    endpoint: ServerAddress, model: str, head: dict[str, str], body: bytes, timeout: float
) -> Iterator[Send]:
    trust = endpoint.security.trust
    connection = (
        http.client.HTTPSConnection(endpoint.target, timeout=timeout, context=trust.http_context())
        if trust
        else http.client.HTTPConnection(endpoint.target, timeout=timeout)
    )
    path = f"/v2/models/{model}/infer"

    def send() -> str:
        try:
            connection.request("POST", path, body, {**head, **endpoint.headers()})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException, SdkError) as error:
            connection.close()  # The next request reconnects.
            return _clarified(endpoint, f"{type(error).__name__}: {error}")
        return "" if response.status == http.client.OK else f"{response.status}: {_error_message(content)}"

    with closing(connection):
        yield send


def _clarified(endpoint: ServerAddress, message: str) -> str:
    """The message of an error; that of a TLS error names the cause."""
    failure = tls_failure(message, endpoint.target, endpoint.server_name) if endpoint.security.trust else None
    return f"UNAVAILABLE: {failure}" if failure else message


def _error_message(content: bytes) -> str:
    """The server's error message from the JSON of a response."""
    text = content.decode(errors="replace")
    try:
        message = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        message = text
    return str(message)[:_LONGEST_MESSAGE]


@contextmanager
def _over_grpc(endpoint: ServerAddress, content: bytes) -> Iterator[Send]:
    import grpc

    trust, options = endpoint.security.trust, [*_UNLIMITED, _OWN_CONNECTION]
    if trust:
        channel = grpc.secure_channel(
            endpoint.target, trust.grpc_credentials(), options=[*options, *trust.grpc_options()]
        )
    else:
        channel = grpc.insecure_channel(endpoint.target, options=options)
    call = channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)

    def send() -> str:
        try:
            # Blocking: futures, which would allow a time limit, halve the request rate of one client.
            call(content, metadata=tuple(endpoint.headers().items()) or None)
        except grpc.RpcError as error:
            return _clarified(endpoint, f"{error.code().name}: {str(error.details())[:_LONGEST_MESSAGE]}")
        except SdkError as error:  # There is no token.
            return f"{type(error).__name__}: {error}"
        return ""

    with channel:
        yield send
