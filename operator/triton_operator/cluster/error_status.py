"""Read the `Status` object of Kubernetes, the body of the API server's error responses.

Pure. The operator's client and the SDK's client use it. Responses of proxies have other bodies, so nothing in it is
required (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
"""

from __future__ import annotations

import msgspec


class ErrorCause(msgspec.Struct):
    """One of several causes; `field` is the path of a field in the object."""

    field: str = ""
    message: str = ""
    reason: str = ""


class ErrorDetails(msgspec.Struct):
    """The object that the error is about, its causes, and the seconds until a retry."""

    name: str = ""
    causes: list[ErrorCause] = []
    retry_after: int = msgspec.field(default=0, name="retryAfterSeconds")


class ErrorStatus(msgspec.Struct):
    """A `Status` object."""

    code: int = 0
    message: str | None = None
    details: ErrorDetails | None = None


_decode = msgspec.json.Decoder(ErrorStatus).decode


def read_error_status(body: bytes | str) -> ErrorStatus | None:
    """The `Status` object in the body; None if the body is something else."""
    try:
        return _decode(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors.
        return None
