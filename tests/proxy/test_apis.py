"""The allow-list in front of a real Triton: listed APIs work over both protocols, and everything else is refused."""

from __future__ import annotations

import socket

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.proxy.clients import Client, infer_request
from tests.proxy.running_proxy import Proxy

MODEL = "/v2/models/linear_regression"
ADMIN = [
    ("GET", f"{MODEL}/config"),
    ("GET", f"{MODEL}/stats"),
    ("GET", "/v2/models/stats"),
    ("GET", "/v2/models"),
    ("GET", "/v2/trace/setting"),
    ("POST", "/v2/trace/setting"),
    ("GET", f"{MODEL}/trace/setting"),
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/linear_regression/load"),
    ("POST", "/v2/repository/models/linear_regression/unload"),
    ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/a/register"),
    ("GET", "/v2/cudasharedmemory/status"),
    ("POST", "/v2/cudasharedmemory/region/a/unregister"),
    ("GET", "/ping"),
    ("POST", "/invocations"),
    ("GET", "/models/linear_regression"),
    ("GET", "/v1/models/linear_regression"),
    ("GET", "/metrics"),
    ("GET", "/"),
]
SPELLINGS = [
    "/v2/models/linear_regression/con%66ig",
    "/v2/models/linear_regression%2Fconfig",
    "/v2/models/linear%5Fregression/config",
    "/v2/models//linear_regression/config",
    "//v2/models/linear_regression/config",
    "/v2/models/linear_regression//config",
    "/v2/models/linear_regression/config/",
    "/v2/models/linear_regression/./config",
    "/v2/models/linear_regression/ready/../config",
    "/v2/models/linear_regression/ready/%2e%2e/config",
    "/v2/models/linear_regression/ready/..%2fconfig",
    "/v2/models/linear_regression/ready/..;/config",
    "/V2/models/linear_regression/config",
    "/v2/Models/linear_regression/Config",
    "/v2/health/live/../../repository/index",
    "/v2/health/live/%2e%2e/%2e%2e/trace/setting",
    "/v2/health/live%00/../../trace/setting",
    "/v2/health/live;/../../trace/setting",
    "/v2/health/live\\..\\..\\trace\\setting",
    "/./v2/trace/setting",
    "/v2/./trace/setting",
    "/v2/%74race/setting",
    "/v2/trace%2fsetting",
    "/%76%32/trace/setting",
    "/v2/logging/",
    "/v2/logging%20",
    "/v2/logging%3f",
    "/v2/logging?x=/v2/health/live",
    "/v2/models/stats?x=1",
    "/v2/models/../logging",
    "/v2/models/linear_regression/versions/1/config",
    "/v2/models/linear_regression/versions/1/../../../../logging",
    "/v2/models/.linear_regression",
    "/v2/models/%2e%2e/logging",
    "/v2/models/a%0d%0aX:%20y",
    "*",
]
GRPC_METHODS = [
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
    "TraceSetting",
    "LogSettings",
]
GRPC_PATHS = [
    "/inference.GRPCInferenceService/modelinfer",
    "/inference.grpcinferenceservice/ModelInfer",
    "//inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService//ModelInfer",
    "/inference.GRPCInferenceService/ModelInfer/",
    "/inference.GRPCInferenceService/%4DodelInfer",
    "/inference.GRPCInferenceService/ModelReady/../LogSettings",
    "/inference.GRPCInferenceService/",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/v2/health/live",
]


def raw_request(method: str, target: str, *headers: str, host: str = "Host: localhost\r\n", body: str = "") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {target} HTTP/1.1\r\n{host}Connection: close\r\n{lines}\r\n{body}".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/versions/1/ready"]
)
def test_health_and_metadata_are_offered(client: Client, path: str) -> None:
    assert client.request("GET", path).status == 200
    assert status(client.raw(raw_request("GET", path))) == 200


def test_inference_is_offered_over_both_protocols(client: Client) -> None:
    over_http = client.infer()
    assert over_http.status == 200, over_http
    over_grpc = client.call("ModelInfer", infer_request())
    assert over_grpc.model_name == "linear_regression"
    assert client.call("ServerReady", service_pb2.ServerReadyRequest()).ready
    assert client.call("ModelMetadata", service_pb2.ModelMetadataRequest(name="digits")).name == "digits"


def test_a_stream_is_offered(client: Client) -> None:
    with client.grpc() as stub:
        answers = list(stub.ModelStreamInfer(iter([infer_request(), infer_request()]), timeout=20))
    assert [answer.error_message for answer in answers] == ["", ""]


@pytest.mark.parametrize(("method", "path"), ADMIN, ids=str)
def test_no_other_api_is_offered_over_http(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path, body="{}" if method == "POST" else None)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert answer.error.startswith("not found: ")


@pytest.mark.parametrize("path", SPELLINGS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_spelling_of_a_path_opens_nothing(client: Client, method: str, path: str) -> None:
    assert status(client.raw(raw_request(method, path))) in {400, 404}


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "HEAD", "get", "PRI", "G\tT"]
)
def test_another_method_is_refused(client: Client, method: str) -> None:
    assert status(client.raw(raw_request("GET", "/v2/health/live"))) == 200
    assert status(client.raw(raw_request(method, "/v2/health/live"))) in {400, 404}


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET http://localhost/v2/health/live HTTP/1.1\r\nHost: localhost\r\n",
        b"GET https://localhost/v2/logging HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX : y\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX\0: y\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x1\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        b"GET /v2/health/live HTTP/3.0\r\nHost: localhost\r\n",
        b"GET /v2/health/live\r\nHost: localhost\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    ],
)
def test_an_ambiguous_request_is_refused(client: Client, request_line: bytes) -> None:
    ending = b"Connection: close\r\n\r\n"
    assert status(client.raw(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n" + ending)) == 200
    assert status(client.raw(request_line + ending)) in {400, 411, 422}


def test_a_request_hidden_in_a_body_is_not_read_as_a_request(client: Client) -> None:
    """The proxy passes exactly one request on, whose body is what Content-Length covers."""
    hidden = "GET /v2/logging HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = client.raw(raw_request("POST", f"{MODEL}/infer", f"Content-Length: {len(hidden)}", body=hidden))
    assert status(answer) in {400, 500}, "Triton parses the body as JSON"
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("method", GRPC_METHODS)
def test_no_other_method_is_offered_over_grpc(client: Client, method: str) -> None:
    request = getattr(service_pb2, f"{method}Request")
    with pytest.raises(grpc.RpcError) as refused:
        client.call(method, request())
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert str(refused.value.details()).startswith("not found: ")


@pytest.mark.parametrize("path", GRPC_PATHS)
def test_another_spelling_of_a_method_opens_nothing(client: Client, path: str) -> None:
    with client.channel() as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(path, None, None)(infer_request().SerializeToString(), timeout=20)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_plain_listener_answers_health_checks_only(client: Client, proxy: Proxy) -> None:
    assert plain(proxy, b"GET /v2/health/ready") == 200
    assert plain(proxy, b"HEAD /v2/health/live") in {200, 400, 405}
    assert plain(proxy, b"GET /v2/models/linear_regression/ready") == 200
    for line in (
        b"GET /v2",
        b"GET /v2/models/linear_regression",
        b"POST /v2/models/linear_regression/infer",
        b"POST /v2/health/ready",
        b"GET /v2/health/ready/../../logging",
        b"GET http://localhost/v2/health/ready",
    ):
        assert plain(proxy, line) in {400, 404}, line


def plain(proxy: Proxy, line: bytes) -> int:
    with socket.create_connection(("127.0.0.1", proxy.health), timeout=15) as connection:
        connection.sendall(line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return status(received)
