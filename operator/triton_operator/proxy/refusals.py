"""The responses to refused requests: rules that end a request with an error that HTTP and gRPC clients understand.

Input: a refusal and a condition. Output: lines of a `frontend`, and the responses, which are files. HTTP clients get an
error in the shape of the KServe protocol v2, gRPC clients a response that consists of trailers only. A message contains
the problem and the solution, and nothing of the policy. The variable `txn.refused` is the reason in the audit log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus


class GrpcStatus(IntEnum):
    """The codes of gRPC that the proxy uses."""

    INVALID_ARGUMENT = 3
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
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
REFUSALS = (MALFORMED, LENGTH_REQUIRED, NOT_OFFERED, UNSUPPORTED_ENCODING, TOO_LARGE)

IS_GRPC = "grpc"
"""The ACL of gRPC requests, which `routes` defines."""
_REFUSED = "{ var(txn.refused) -m found }"


def refuse(refusal: Refusal, condition: str, folder: str) -> list[str]:
    """Rules that refuse requests; `condition` begins with `if` or `unless`, `folder` contains `response_files`."""
    return [
        f"http-request set-var(txn.refused) str({refusal.reason}) {condition}",
        f"http-request return status 200 errorfile {folder}/{_file(refusal, 'grpc')} if {_REFUSED} {IS_GRPC}",
        # The status has no effect on the file, but must be one that HAProxy knows.
        f"http-request return status 400 errorfile {folder}/{_file(refusal, 'http')} if {_REFUSED}",
    ]


def response_files() -> dict[str, str]:
    """The responses, by file name."""
    return {
        **{_file(refusal, "http"): _http_response(refusal) for refusal in REFUSALS},
        **{_file(refusal, "grpc"): _grpc_response(refusal) for refusal in REFUSALS},
        **{error_file(status): _http_error(status, message) for status, message in OWN_ERRORS.items()},
    }


OWN_ERRORS = {
    HTTPStatus.BAD_REQUEST: "bad request: this is not a valid HTTP request",
    HTTPStatus.REQUEST_TIMEOUT: "timeout: send the whole request without pauses",
    HTTPStatus.UNPROCESSABLE_ENTITY: "bad request: send Content-Length and no Transfer-Encoding",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal error of the proxy",
    HTTPStatus.NOT_IMPLEMENTED: "bad request: this is not supported",
    HTTPStatus.BAD_GATEWAY: "Triton closed the connection without a response; try again",
    HTTPStatus.SERVICE_UNAVAILABLE: "Triton is not ready; try again",
    HTTPStatus.GATEWAY_TIMEOUT: "Triton did not respond in time",
}
"""Errors that HAProxy itself detects."""


def error_file(status: HTTPStatus) -> str:
    """Name of the file with the response to one of OWN_ERRORS."""
    return f"{status.value}.http"


def _file(refusal: Refusal, protocol: str) -> str:
    return f"{refusal.reason}.{protocol}"


def _http_response(refusal: Refusal) -> str:
    return _http_error(refusal.http, refusal.message, refusal.headers)


def _http_error(status: HTTPStatus, message: str, headers: tuple[tuple[str, str], ...] = ()) -> str:
    body = json.dumps({"error": message})
    return _response(
        f"{status.value} {status.phrase}",
        [("content-type", "application/json"), *headers, ("content-length", str(len(body)))],
        body,
    )


def _grpc_response(refusal: Refusal) -> str:
    if not refusal.message.isascii() or not refusal.message.isprintable() or "%" in refusal.message:
        raise ValueError(f"gRPC cannot send this message in a header: {refusal.message}")
    headers = [("grpc-status", str(refusal.grpc.value)), ("grpc-message", refusal.message)]
    return _response("200 OK", [("content-type", "application/grpc"), *headers, ("content-length", "0")], "")


def _response(status: str, headers: list[tuple[str, str]], body: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", body])
