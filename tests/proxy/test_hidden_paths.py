"""Spellings of the paths of closed APIs over HTTP/1.1 and HTTP/2: all are refused, and none arrives at Triton."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proxy.http2 import connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded

CLOSED = (
    "/v2/logging",
    "/v2/trace/setting",
    "/v2/models/digits/trace/setting",
    "/v2/models/digits/config",
    "/v2/models/stats",
    "/v2/repository/index",
    "/v2/repository/models/digits/load",
    "/v2/systemsharedmemory/region/a/register",
    "/v2/cudasharedmemory/status",
    "/invocations",
    "/models/digits/invoke",
    "/v1/endpoints/1/deployedModels/1:predict",
)
"""Admin, trace, logging, repository and shared memory of Triton, and the APIs of SageMaker and Vertex AI."""
METHODS = ("LogSettings", "TraceSetting", "RepositoryModelLoad", "SystemSharedMemoryRegister", "ModelConfig")
SERVICE = "/inference.GRPCInferenceService"

Spelling = Callable[[str], str]


def encoded(path: str, escape: Callable[[int], str]) -> str:
    """The path with the first character of its last segment escaped."""
    head, _, tail = path.rpartition("/")
    return f"{head}/{escape(ord(tail[0]))}{tail[1:]}"


SPELLINGS: dict[str, Spelling] = {
    "as it is": lambda path: path,
    "encoded character": lambda path: encoded(path, "%{:02x}".format),
    "encoded character, upper case": lambda path: encoded(path, "%{:02X}".format),
    "encoded twice": lambda path: encoded(path, "%25{:02x}".format),
    "overlong in two bytes": lambda path: encoded(path, lambda code: f"%c{code >> 6:x}%{0x80 | code & 0x3F:x}"),
    "overlong in three bytes": lambda path: encoded(path, lambda code: f"%e0%8{code >> 6:x}%{0x80 | code & 0x3F:x}"),
    "escape of IIS": lambda path: encoded(path, "%u00{:02x}".format),
    "encoded slash": lambda path: "/" + path[1:].replace("/", "%2f"),
    "encoded first slash": lambda path: "%2f" + path[1:],
    "slash encoded twice": lambda path: "/" + path[1:].replace("/", "%252f"),
    "overlong slash": lambda path: "/v2/health/live" + path.replace("/", "%c0%af"),
    "slash of full width": lambda path: "/v2/health/live" + path.replace("/", "\uff0f"),
    "backslash": lambda path: path.replace("/", "\\"),
    "encoded backslash": lambda path: "/" + path[1:].replace("/", "%5c"),
    "two slashes first": lambda path: "/" + path,
    "two slashes inside": lambda path: path.replace("/", "//"),
    "slash at the end": lambda path: path + "/",
    "dot at the start": lambda path: "/." + path,
    "dots inside": lambda path: path.replace("/", "/./"),
    "dots at the end": lambda path: path + "/x/..",
    "upper case": str.upper,
    "title case": str.title,
    "parameters": lambda path: path + ";jsessionid=1",
    "parameters after a listed path": lambda path: "/v2/health/live;" + path,
    "dots after a listed path": lambda path: "/v2/health/live/../../.." + path,
    "encoded dots after a listed path": lambda path: "/v2/health/live/%2e%2e/%2e%2e/%2e%2e" + path,
    "dots and encoded slashes": lambda path: "/v2/health/live/..%2f..%2f.." + path,
    "dots and parameters": lambda path: "/v2/health/live/..;/..;/..;" + path,
    "overlong dots": lambda path: "/v2/health/live/%c0%ae%c0%ae/%c0%ae%c0%ae" + path,
    "listed path appended": lambda path: path + "/v2/health/live",
    "listed path as a query": lambda path: path + "?/v2/health/live",
    "listed path as a fragment": lambda path: path + "#/v2/health/live",
    "encoded question mark": lambda path: path + "%3f/v2/health/live",
    "encoded fragment": lambda path: path + "%23/v2/health/live",
    "encoded NUL": lambda path: path + "%00/v2/health/live",
    "NUL after a listed path": lambda path: "/v2/health/live%00/../../.." + path,
    "encoded line feed": lambda path: "/v2/health/live%0d%0aX: " + path,
    "encoded space": lambda path: path + "%20",
    "encoded tab": lambda path: path + "%09",
    "dot": lambda path: path + ".",
    "suffix": lambda path: path + "~",
    "version instead of a path": lambda path: f"/v2/models/digits/versions/..{path}",
    "path as a model": lambda path: f"/v2/models/..{path}/infer",
    "encoded path as a model": lambda path: f"/v2/models/..%2f..{path.replace('/', '%2f')}/infer",
    "absolute": lambda path: f"https://localhost{path}",
    "absolute without encryption": lambda path: f"http://127.0.0.1:8000{path}",
    "absolute with a user": lambda path: f"https://localhost:x@127.0.0.1{path}",
    "without a scheme": lambda path: f"//localhost{path}",
    "without a slash": lambda path: path[1:],
    "with an authority": lambda path: f"localhost:8443{path}",
    "spaces first": lambda path: f" {path}",
    "listed path and a space": lambda path: f"/v2/health/live {path}",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_closed_path_is_refused_over_http_1(recorded: Recorded, spelling: Spelling) -> None:
    for path in CLOSED:
        for method in ("GET", "POST"):
            line = f"{method} {spelling(path)} HTTP/1.1\r\n".encode()
            answer = recorded.client.raw(line + b"Host: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), (line, answer)
    assert recorded.arrived() == []


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_closed_path_is_refused_over_http_2(recorded: Recorded, spelling: Spelling) -> None:
    for path in CLOSED:
        with connected(recorded.client) as connection:
            assert connection.request(request_headers(spelling(path))).refused, path
        with connected(recorded.client) as connection:
            headers = request_headers(spelling(path), ("content-type", "application/grpc"), method="POST")
            assert connection.request(headers, b"").refused, path
    assert recorded.arrived() == []


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_closed_method_is_refused_over_grpc(recorded: Recorded, spelling: Spelling) -> None:
    for method in METHODS:
        for kind in ("application/grpc", "application/grpc+proto", "application/json"):
            with connected(recorded.client) as connection:
                headers = request_headers(spelling(f"{SERVICE}/{method}"), ("content-type", kind), method="POST")
                assert connection.request(headers, b"\0\0\0\0\0").refused, (method, kind)
    assert recorded.arrived() == []


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/models/digits/infer", "/v2/logging", f"{SERVICE}/Other"])
@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+json", "application/grpc;x=1"])
def test_the_content_type_of_grpc_opens_no_path(recorded: Recorded, path: str, kind: str) -> None:
    with connected(recorded.client) as connection:
        headers = request_headers(path, ("content-type", kind), ("te", "trailers"), method="POST")
        reply = connection.request(headers, b"\0\0\0\0\0")
    assert (reply.headers[":status"], reply.headers["grpc-status"]) == ("200", "12")
    assert recorded.arrived() == []


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "application/grpc-web+proto", ""])
def test_a_method_of_grpc_needs_its_content_type(recorded: Recorded, kind: str) -> None:
    path = f"{SERVICE}/ModelInfer"
    with connected(recorded.client) as connection:
        assert connection.request(grpc_headers(path), b"\0\0\0\0\0").admitted
        reply = connection.request(request_headers(path, ("content-type", kind), method="POST"), b"\0\0\0\0\0")
    assert reply.headers[":status"] == "404"
    assert [each.path for each in recorded.arrived()] == [path]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "PROPFIND", "get", "LOAD"])
def test_another_method_is_refused_over_http_2(recorded: Recorded, method: str) -> None:
    with connected(recorded.client) as connection:
        assert connection.request(request_headers("/v2/health/live")).admitted
        assert connection.request(request_headers("/v2/health/live", method=method)).refused
    assert [each.path for each in recorded.arrived()] == ["/v2/health/live"]


HIDDEN_HEADERS = (
    ("triton-grpc-protocol-admin-key", "canary"),
    ("triton-grpc-protocol-trace", "canary"),
    ("admin-key", "canary"),
    ("authorization", "Bearer canary"),
    ("cookie", "canary=canary"),
    ("forwarded", "for=canary"),
    ("x-forwarded-for", "canary"),
    ("x-original-url", "/v2/logging?canary"),
    ("x-rewrite-url", "/v2/logging?canary"),
    ("x-http-method-override", "DELETE-canary"),
    ("x-http-method", "canary"),
    ("x-amzn-sagemaker-target-model", "canary"),
    ("x-vertex-ai-triton-redirect", "/v2/logging?canary"),
    ("x-canary", "canary"),
    ("content_length", "99"),
)


def test_no_other_header_and_no_query_arrives_over_http(recorded: Recorded) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in HIDDEN_HEADERS)
    answer = recorded.client.raw(
        f"POST /v2/models/digits/infer?canary=1 HTTP/1.1\r\nHost: localhost\r\n{lines}"
        "Content-Type: application/json\r\nInference-Header-Content-Length: 2\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\n{}".encode()
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    (arrived,) = recorded.arrived()
    assert (arrived.path, arrived.body) == ("/v2/models/digits/infer", b"{}")
    names = {line.partition(":")[0].lower() for line in arrived.head[1:]}
    assert names == {"host", "content-type", "inference-header-content-length", "content-length"}
    assert "canary" not in repr(arrived)


def test_no_other_header_arrives_over_grpc(recorded: Recorded) -> None:
    path = f"{SERVICE}/ModelInfer"
    with connected(recorded.client) as connection:
        headers = grpc_headers(f"{path}?canary", ("grpc-timeout", "1S"), *HIDDEN_HEADERS)
        assert connection.request(headers, b"\0\0\0\0\0").admitted
    (arrived,) = recorded.arrived()
    assert arrived.path == path
    names = {line.rpartition(": ")[0] for line in arrived.head if not line.startswith(":")}
    assert names == {"host", "content-type", "te", "grpc-timeout"}
    assert "canary" not in repr(arrived)
