"""Requests that two servers can read differently: at most the listed request arrives, in one clear form."""

from __future__ import annotations

import re

import pytest

from tests.proxy.http2 import Headers, connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded
from tests.proxy.recording_backend import Arrived

INFER = "/v2/models/digits/infer"
LIVE = "/v2/health/live"
HIDDEN = b"GET /v2/logging HTTP/1.1\r\nHost: localhost\r\n\r\n"
COVERED = b"Content-Length: %d\r\n" % len(HIDDEN)
SERVICE = "/inference.GRPCInferenceService"
CLEAR = re.compile(r"[a-z0-9-]+: [\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SMUGGLED = {
    "CL.TE": b"Content-Length: 52\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n30\r\n" + HIDDEN + b"\r\n0\r\n\r\n",
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in a list": b"Content-Length: 5\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE with another value": b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in quotes": b'Content-Length: 5\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN,
    "TE after a tab": b"Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE after a vertical tab": b"Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE before a space": b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE after a space": b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in a folded line": b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in a folded header": b"Content-Length: 5\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE after a line feed": b"Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE after a carriage return": b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE with a NUL": b"Content-Length: 5\r\nTransfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE with an underscore": b"Content-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in HTTP/2's header": b"Content-Length: 5\r\nTE: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "extension of a chunk": b"Transfer-Encoding: chunked\r\n\r\n0;\nx\r\n\r\n" + HIDDEN,
    "size of a chunk with a sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + HIDDEN,
    "long size of a chunk": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + HIDDEN,
    "trailers of chunks": b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 99\r\n\r\n" + HIDDEN,
    "two lengths": b"Content-Length: 0\r\nContent-Length: 46\r\n\r\n" + HIDDEN,
    "list of lengths": b"Content-Length: 0, 46\r\n\r\n" + HIDDEN,
    "length with a sign": b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "hexadecimal length": b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "length with a zero": b"Content-Length: 0%d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "empty length": b"Content-Length:\r\n\r\n" + HIDDEN,
    "length with a space inside": b"Content-Length: 0 46\r\n\r\n" + HIDDEN,
    "length of 65 bits": b"Content-Length: 18446744073709551616\r\n\r\n" + HIDDEN,
    "folded length": b"Content-Length: 0\r\n 46\r\n\r\n" + HIDDEN,
    "length after a line feed": b"Content-Length: 0\nContent-Length: 46\r\n\r\n" + HIDDEN,
    "body": COVERED + b"\r\n" + HIDDEN,
    "no length": b"\r\n" + HIDDEN,
    "Expect": b"Expect: 100-continue\r\n" + COVERED + b"\r\n" + HIDDEN,
    "Upgrade to h2c": b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"
    + HIDDEN,
    "Upgrade to WebSocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + HIDDEN,
    "Connection removes the length": b"Connection: Content-Length\r\n" + COVERED + b"\r\n" + HIDDEN,
    "two hosts": b"Host: other\r\nContent-Length: 0\r\n\r\n",
    "two hosts, one with a user": b"Host: x@localhost\r\nContent-Length: 0\r\n\r\n",
}
REQUEST_LINES = {
    "absolute form": b"POST http://localhost/v2/logging HTTP/1.1",
    "absolute form of another host": b"POST https://other" + INFER.encode() + b" HTTP/1.1",
    "authority form": b"CONNECT localhost:8443 HTTP/1.1",
    "asterisk form": b"OPTIONS * HTTP/1.1",
    "two spaces": b"POST  /v2/logging HTTP/1.1",
    "tabs": b"POST\t/v2/logging\tHTTP/1.1",
    "space in the path": b"POST " + INFER.encode() + b" /v2/logging HTTP/1.1",
    "line feed in the path": b"POST " + INFER.encode() + b"\n/v2/logging HTTP/1.1",
    "carriage return in the path": b"POST " + INFER.encode() + b"\r/v2/logging HTTP/1.1",
    "NUL in the path": b"POST " + INFER.encode() + b"\0/v2/logging HTTP/1.1",
    "bytes above 127": b"POST " + INFER.encode() + b"\xff HTTP/1.1",
    "HTTP/0.9": b"GET /v2/logging",
    "HTTP/1.0": b"GET /v2/logging HTTP/1.0",
    "HTTP/2.0": b"GET /v2/logging HTTP/2.0",
    "version with a space": b"GET /v2/logging HTTP/ 1.1",
    "version of three numbers": b"GET /v2/logging HTTP/1.1.1",
    "preface of HTTP/2": b"PRI * HTTP/2.0",
    "method with a colon": b"GET: /v2/logging HTTP/1.1",
}


def assert_clear(arrived: list[Arrived], *listed: str) -> None:
    """Only listed requests arrive, each of whose lines can be read in one way only."""
    assert {each.path for each in arrived} <= {*listed}, arrived
    for each in arrived:
        lines = [line for line in each.head[1:] if not line.startswith(":")]
        assert all(CLEAR.fullmatch(line) for line in lines), each.head
        delimiters = [line for line in lines if line.startswith(("content-length", "transfer-encoding"))]
        assert len(delimiters) <= 1, each.head
        assert not any(line.startswith(("upgrade", "connection")) for line in lines), each.head


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED)
def test_no_request_is_hidden_in_another(recorded: Recorded, rest: bytes) -> None:
    for path in (INFER, "/v2/logging"):
        recorded.client.raw(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + rest, until_quiet=True)
    arrived = recorded.arrived()
    assert_clear(arrived, INFER)
    assert len(arrived) <= 1


@pytest.mark.parametrize("line", REQUEST_LINES.values(), ids=REQUEST_LINES)
def test_no_request_line_is_read_in_another_way(recorded: Recorded, line: bytes) -> None:
    received = recorded.client.raw(
        line + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" + HIDDEN, until_quiet=True
    )
    assert received.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 501 ")), received
    assert recorded.arrived() == []


ODD_HEADERS: dict[str, Headers] = {
    "two paths": request_headers(LIVE, (":path", "/v2/logging")),
    "two paths, the closed one first": [(":path", "/v2/logging"), *request_headers(LIVE)],
    "two methods": request_headers(LIVE, (":method", "POST")),
    "path after a header": [*request_headers(LIVE)[:3], ("accept", "*/*"), (":path", "/v2/logging")],
    "no path": request_headers(LIVE)[:3],
    "empty path": request_headers(""),
    "asterisk": request_headers("*"),
    "path without a slash": request_headers("v2/logging"),
    "absolute path": request_headers("https://localhost/v2/logging"),
    "path with a request": request_headers(f"{LIVE} HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/logging"),
    "path with a line feed": request_headers(f"{LIVE}\n/v2/logging"),
    "path with a space": request_headers(f"{LIVE} /v2/logging"),
    "path with a NUL": request_headers(f"{LIVE}\0/v2/logging"),
    "method with a request": request_headers(LIVE, method="GET /v2/logging HTTP/1.1\r\nX: y"),
    "method with a path": request_headers(LIVE, method="GET /v2/logging"),
    "empty method": request_headers(LIVE, method=""),
    "authority with a path": request_headers("/v2/x", authority="localhost/v2/logging?"),
    "authority with a line feed": request_headers(LIVE, authority="localhost\r\nX: y"),
    "scheme with a path": request_headers("/v2/x", scheme="https://localhost/v2/logging?"),
    "no scheme": [pair for pair in request_headers(LIVE) if pair[0] != ":scheme"],
    "unknown pseudo-header": request_headers(LIVE, (":target", "/v2/logging")),
    "status": request_headers(LIVE, (":status", "200")),
    "name in upper case": request_headers(LIVE, ("X-Header", "y")),
    "name with a space": request_headers(LIVE, ("x y", "z")),
    "name with a colon": request_headers(LIVE, ("x: y\r\nz", "z")),
    "name with a line feed": request_headers(LIVE, ("x\r\ncontent-length", "9")),
    "empty name": request_headers(LIVE, ("", "x")),
    "value with a header": request_headers(LIVE, ("accept", "x\r\ntransfer-encoding: chunked")),
    "value with a line feed": request_headers(LIVE, ("accept", "x\ny: z")),
    "value with a NUL": request_headers(LIVE, ("accept", "x\0y")),
    "Connection": request_headers(LIVE, ("connection", "upgrade")),
    "Upgrade": request_headers(LIVE, ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")),
    "Keep-Alive and Proxy-Connection": request_headers(LIVE, ("keep-alive", "1"), ("proxy-connection", "x")),
    "TE": request_headers(LIVE, ("te", "gzip")),
    "chunks": request_headers(LIVE, ("transfer-encoding", "chunked")),
    "other length": request_headers(LIVE, ("content-length", "10")),
    "two lengths": request_headers(LIVE, ("content-length", "0"), ("content-length", "46")),
    "length with a sign": request_headers(LIVE, ("content-length", "+0")),
    "CONNECT": [(":method", "CONNECT"), (":authority", "127.0.0.1:8000")],
    "CONNECT with a path": request_headers("/v2/logging", method="CONNECT"),
    "WebSocket": request_headers(LIVE, (":protocol", "websocket"), method="CONNECT"),
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_odd_headers_of_http_2_are_refused_or_removed(recorded: Recorded, headers: Headers) -> None:
    with connected(recorded.client) as connection:
        reply = connection.request(headers)
    arrived = recorded.arrived()
    assert_clear(arrived, LIVE)
    assert len(arrived) == int(reply.admitted)
    assert "logging" not in repr(arrived)


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_odd_headers_of_grpc_are_refused_or_removed(recorded: Recorded, headers: Headers) -> None:
    live = f"{SERVICE}/ServerReady"
    closed = f"{SERVICE}/LogSettings"
    call = [(name, value.replace(LIVE, live).replace("/v2/logging", closed)) for name, value in headers]
    call = [(name, "POST" if value == "GET" else value) for name, value in call]
    with connected(recorded.client) as connection:
        reply = connection.request([*call, ("content-type", "application/grpc")], b"\0\0\0\0\0")
    arrived = recorded.arrived()
    assert_clear(arrived, live)
    assert len(arrived) == int(reply.admitted)
    assert "LogSettings" not in repr(arrived)


BODIES: dict[str, tuple[Headers, bytes]] = {
    "H2.CL": ([("content-length", "0")], HIDDEN),
    "H2.CL, too short": ([("content-length", "5")], HIDDEN),
    "H2.CL, too long": ([("content-length", "500")], HIDDEN),
    "H2.TE": ([("transfer-encoding", "chunked")], b"0\r\n\r\n" + HIDDEN),
    "chunks in a body": ([], b"0\r\n\r\n" + HIDDEN),
}


@pytest.mark.parametrize(("more", "body"), BODIES.values(), ids=BODIES)
def test_no_request_is_hidden_in_a_body_of_http_2(recorded: Recorded, more: Headers, body: bytes) -> None:
    with connected(recorded.client) as connection:
        connection.request(request_headers(INFER, *more, method="POST"), body)
    arrived = recorded.arrived()
    assert_clear(arrived, INFER)
    assert all(each.body in {body, b""} for each in arrived)


@pytest.mark.parametrize(
    "trailers",
    [[(":path", "/v2/logging")], [("content-length", "46")], [("transfer-encoding", "chunked")], [("x", "y\r\n\r\n")]],
    ids=str,
)
def test_trailers_change_nothing(recorded: Recorded, trailers: Headers) -> None:
    with connected(recorded.client) as connection:
        connection.request(grpc_headers(f"{SERVICE}/ServerReady"), b"\0\0\0\0\0", trailers)
    with connected(recorded.client) as connection:
        connection.request(request_headers(INFER, method="POST"), b"{}", trailers)
    assert_clear(recorded.arrived(), INFER, f"{SERVICE}/ServerReady")
