"""The responses to refused requests: rules that end a request with an error that HTTP and gRPC clients understand.

Input: a refusal and a condition. Output: lines of a `frontend`, and the responses, which are files. HTTP clients get an
error in the shape of the KServe protocol v2, gRPC clients a response that consists of trailers only. A message names
the problem and the solution, and reveals nothing about the policy. The variable `txn.refused` is the reason in the
audit log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus


class GrpcStatus(IntEnum):
    """The codes of gRPC that the proxy uses."""

    INVALID_ARGUMENT = 3
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal: `reason` is the word in the audit log, `headers` are further headers for HTTP clients."""

    reason: str
    http: HTTPStatus
    grpc: GrpcStatus
    message: str
    headers: tuple[tuple[str, str], ...] = ()


MALFORMED = Refusal(
    "Malformed",
    HTTPStatus.BAD_REQUEST,
    GrpcStatus.INVALID_ARGUMENT,
    "bad request: send the path only in the request line, and no Upgrade header",
)
LENGTH_REQUIRED = Refusal(
    "LengthRequired",
    HTTPStatus.LENGTH_REQUIRED,
    GrpcStatus.INVALID_ARGUMENT,
    "length required: send Content-Length instead of Transfer-Encoding",
)
NOT_OFFERED = Refusal(
    "NotOffered",
    HTTPStatus.NOT_FOUND,
    GrpcStatus.UNIMPLEMENTED,
    "not found: this endpoint offers inference, health and metadata; check the method and the path",
)
UNSUPPORTED_ENCODING = Refusal(
    "UnsupportedEncoding",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    GrpcStatus.UNIMPLEMENTED,
    "unsupported encoding: send requests without compression",
)
TOO_LARGE = Refusal(
    "TooLarge",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    GrpcStatus.RESOURCE_EXHAUSTED,
    "request too large: send smaller batches",
)
NO_CREDENTIALS = Refusal(
    "NoCredentials",
    HTTPStatus.UNAUTHORIZED,
    GrpcStatus.UNAUTHENTICATED,
    "unauthenticated: send a token in the header Authorization (Bearer), or a client certificate",
    (("www-authenticate", "Bearer"),),
)
INVALID_TOKEN = Refusal(
    "InvalidToken",
    HTTPStatus.UNAUTHORIZED,
    GrpcStatus.UNAUTHENTICATED,
    "unauthenticated: the token is not valid here; get a new one for the audience in the status of the deployment",
    (("www-authenticate", 'Bearer error="invalid_token"'),),
)
NOT_VERIFIED = Refusal(
    "NotVerified",
    HTTPStatus.SERVICE_UNAVAILABLE,
    GrpcStatus.UNAVAILABLE,
    "unavailable: the token cannot be verified now; try again",
)
NOT_ADMITTED = Refusal(
    "NotAdmitted",
    HTTPStatus.FORBIDDEN,
    GrpcStatus.PERMISSION_DENIED,
    "permission denied: this identity has no access; ask the owner of the deployment for access",
)
MODEL_NOT_PERMITTED = Refusal(
    "ModelNotPermitted",
    HTTPStatus.FORBIDDEN,
    GrpcStatus.PERMISSION_DENIED,
    "permission denied: this identity has no access to the model; ask the owner of the deployment for it",
)
MESSAGE_REFUSED = Refusal(
    "MessageRefused",
    HTTPStatus.FORBIDDEN,
    GrpcStatus.PERMISSION_DENIED,
    "permission denied: a message is too large, is compressed, or names a model that this identity has no access to",
)
STREAM_NOT_PERMITTED = Refusal(
    "StreamNotPermitted",
    HTTPStatus.FORBIDDEN,
    GrpcStatus.PERMISSION_DENIED,
    "permission denied: an identity with a limit of requests per second has no access to streams; use ModelInfer",
)
RATE_LIMITED = Refusal(
    "RateLimited",
    HTTPStatus.TOO_MANY_REQUESTS,
    GrpcStatus.RESOURCE_EXHAUSTED,
    "too many requests: send fewer requests per second",
    (("retry-after", "1"),),
)
TOO_MANY_AT_ONCE = Refusal(
    "TooManyAtOnce",
    HTTPStatus.TOO_MANY_REQUESTS,
    GrpcStatus.RESOURCE_EXHAUSTED,
    "too many requests: wait for responses before you send more from this address",
    (("retry-after", "1"),),
)
REFUSALS = (
    MALFORMED,
    LENGTH_REQUIRED,
    NOT_OFFERED,
    UNSUPPORTED_ENCODING,
    TOO_LARGE,
    NO_CREDENTIALS,
    INVALID_TOKEN,
    NOT_VERIFIED,
    NOT_ADMITTED,
    MODEL_NOT_PERMITTED,
    MESSAGE_REFUSED,
    STREAM_NOT_PERMITTED,
    RATE_LIMITED,
    TOO_MANY_AT_ONCE,
)

RESPONSES = "responses.lua"
IS_STREAM = "grpc_stream"
"""The ACL of streams, which `routes` defines."""
_REFUSED = "{ var(txn.refused) -m found }"
_GRPC = "{ var(txn.protocol) -m str grpc }"


def refuse(refusal: Refusal, condition: str, folder: str) -> list[str]:
    """Rules that refuse requests; `condition` begins with `if` or `unless`, `folder` contains `response_files`.

    The service reads the body first. A stream has no end to wait for: after a second, its client gets the response or,
    if it has not finished sending, a cancelled call.
    """
    stream = f"if {_REFUSED} {IS_STREAM}"
    return [
        f"http-request set-var(txn.refused) str({refusal.reason}) {condition}",
        f"http-request wait-for-body time 1s {stream}",
        f"http-request return status 200 errorfile {folder}/{grpc_file(refusal)} {stream}",
        f"http-request use-service lua.refuse if {_REFUSED}",
    ]


def refuse_at_once(refusal: Refusal, condition: str, folder: str) -> list[str]:
    """Like `refuse`, without reading the body, whose end may be unclear. HTTP/1.1 clients get a closed connection."""
    return [
        f"http-request set-var(txn.refused) str({refusal.reason}) {condition}",
        f"http-request return status 200 errorfile {folder}/{grpc_file(refusal)} if {_REFUSED} {_GRPC}",
        f"http-request return status 400 errorfile {folder}/{http_file(refusal)} if {_REFUSED}",
    ]


def response_files() -> dict[str, str]:
    """The responses, by file name."""
    return {
        RESPONSES: _responses(),
        **{grpc_file(refusal): _stream_response(refusal) for refusal in REFUSALS},
        **{http_file(refusal): _http_response(refusal) for refusal in REFUSALS},
        **{error_file(status): _own_error(status, message) for status, message in OWN_ERRORS.items()},
    }


OWN_ERRORS = {
    HTTPStatus.BAD_REQUEST: "bad request: this is not a valid HTTP request",
    HTTPStatus.REQUEST_TIMEOUT: "timeout: send the whole request without pauses",
    HTTPStatus.UNPROCESSABLE_ENTITY: "bad request: send Content-Length and no Transfer-Encoding",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal error of the proxy; try again",
    HTTPStatus.NOT_IMPLEMENTED: "not implemented: check the method and the headers; the proxy does not support them",
    HTTPStatus.BAD_GATEWAY: "Triton closed the connection without a response; try again",
    HTTPStatus.SERVICE_UNAVAILABLE: "Triton is not ready; try again",
    HTTPStatus.GATEWAY_TIMEOUT: "Triton did not respond in time",
}
"""Errors that HAProxy itself detects."""


def error_file(status: HTTPStatus) -> str:
    """Name of the file with the response to one of OWN_ERRORS."""
    return f"{status.value}.http"


def grpc_file(refusal: Refusal) -> str:
    """Name of the file with the response to gRPC clients."""
    return f"{refusal.reason}.grpc"


def http_file(refusal: Refusal) -> str:
    """Name of the file with the response to HTTP clients."""
    return f"{refusal.reason}.http"


def _responses() -> str:
    """A program in Lua that defines the responses of the service."""
    lines = []
    for refusal in REFUSALS:
        body = _body(refusal.message)
        lines.append(_lua_entry(http_file(refusal), refusal.http, _http_headers(body, refusal.headers), body))
        lines.append(_lua_entry(grpc_file(refusal), HTTPStatus.OK, _grpc_headers(refusal), ""))
    return "\n".join(["responses = {", *lines, "}", ""])


def _lua_entry(name: str, status: HTTPStatus, headers: list[tuple[str, str]], body: str) -> str:
    """Text in ASCII has the same syntax in JSON and Lua."""
    pairs = ", ".join(f"{{{json.dumps(key)}, {json.dumps(value)}}}" for key, value in headers)
    return f"  [{json.dumps(name)}] = {{status = {status.value}, headers = {{{pairs}}}, body = {json.dumps(body)}}},"


def _grpc_headers(refusal: Refusal) -> list[tuple[str, str]]:
    if not refusal.message.isascii() or not refusal.message.isprintable() or "%" in refusal.message:
        raise ValueError(f"gRPC cannot send this message in a header: {refusal.message}")
    status = [("grpc-status", str(refusal.grpc.value)), ("grpc-message", refusal.message)]
    return [("content-type", "application/grpc"), *status, ("content-length", "0")]


def _stream_response(refusal: Refusal) -> str:
    return _response(HTTPStatus.OK, _grpc_headers(refusal), "")


def _http_response(refusal: Refusal) -> str:
    body = _body(refusal.message)
    return _response(refusal.http, [*_http_headers(body, refusal.headers), ("connection", "close")], body)


def _own_error(status: HTTPStatus, message: str) -> str:
    body = _body(message)
    return _response(status, _http_headers(body), body)


def _body(message: str) -> str:
    return json.dumps({"error": message})


def _http_headers(body: str, further: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    return [("content-type", "application/json"), ("content-length", str(len(body))), *further]


def _response(status: HTTPStatus, headers: list[tuple[str, str]], body: str) -> str:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", body])
