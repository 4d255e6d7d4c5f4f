"""Clients of the proxy: HTTP/1.1 and raw bytes over TLS, and gRPC; each request is sent once."""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPSConnection
from typing import Any, NamedTuple

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.proxy.certificates import Pair
from triton_operator.local.ports import ADDRESS
from triton_operator.sdk.security import Trust

_QUIET_SECONDS = 0.1

LINEAR = {"inputs": [{"name": "INPUT__0", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The message of an error in the shape of the KServe protocol v2."""
        (item,) = json.loads(self.body).items()
        assert item[0] == "error"
        return str(item[1])


class Client:
    """A client of a port of this machine, which verifies the server as `server_name`.

    `source` is its address, except for gRPC channels.
    """

    def __init__(
        self,
        port: int,
        authority: bytes,
        *,
        token: str = "",
        pair: Pair | None = None,
        server_name: str = "localhost",
        source: str = ADDRESS,
    ) -> None:
        self.source = (source, 0)
        self.port = port
        self.authority = authority
        self.token = token
        self.pair = pair
        self.trust = Trust(authority.decode(), server_name)

    def context(self) -> ssl.SSLContext:
        """The settings of TLS."""
        context = self.trust.http_context()
        if self.pair:
            with tempfile.NamedTemporaryFile() as file:
                file.write(self.pair.certificate + self.pair.key)
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def connection(self) -> HTTPSConnection:
        """A connection for several requests."""
        return HTTPSConnection("localhost", self.port, timeout=30, context=self.context(), source_address=self.source)

    def connect(self, timeout: float = 15) -> socket.socket:
        """A connection without TLS, which sends small frames at once."""
        connection = socket.create_connection((ADDRESS, self.port), timeout, self.source)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on a new connection."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {**self.authorization(), **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def infer(self, model: str = "linear_regression") -> Answer:
        """Send one inference request over HTTP."""
        return self.request("POST", f"/v2/models/{model}/infer", json.dumps(LINEAR))

    def raw(self, data: bytes, alpn: str = "http/1.1", *, until_quiet: bool = False) -> bytes:
        """Send bytes over TLS, and return everything that arrives until the connection is closed.

        With `until_quiet`, a pause after the first response is an end too: the proxy may wait for another request.
        """
        context = self.context()
        context.set_alpn_protocols([alpn])
        with (
            self.connect() as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(data)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
                    if until_quiet:
                        connection.settimeout(_QUIET_SECONDS)
            except (ConnectionError, ssl.SSLError, TimeoutError):
                pass
            return received

    @contextmanager
    def channel(self, options: Sequence[tuple[str, int]] = ()) -> Iterator[grpc.Channel]:
        """A gRPC channel with TLS."""
        credentials = grpc.ssl_channel_credentials(
            self.authority,
            self.pair.key if self.pair else None,
            self.pair.certificate if self.pair else None,
        )
        named = [*self.trust.grpc_options(), *options]
        with grpc.secure_channel(f"localhost:{self.port}", credentials, named) as channel:
            yield channel

    @contextmanager
    def grpc(self) -> Iterator[Any]:
        """A stub of Triton's service."""
        with self.channel() as channel:
            yield service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def call(self, method: str, message: Any, *, timeout: float = 20) -> Any:
        """Call a unary method on a new channel; raises grpc.RpcError."""
        with self.grpc() as stub:
            return getattr(stub, method)(message, metadata=self.metadata(), timeout=timeout)

    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """The metadata of a call."""
        return tuple((name.lower(), value) for name, value in self.authorization().items())

    def authorization(self) -> dict[str, str]:
        """The header with the token, if there is one."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def infer_request(model: str = "linear_regression") -> Any:
    """An inference request over gRPC."""
    request = service_pb2.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name="INPUT__0", datatype="FP32", shape=[1, 2])
    tensor.contents.fp32_contents.extend([1.0, 2.0])
    return request
