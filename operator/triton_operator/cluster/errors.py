"""Errors of requests to the API server.

::

    TritonOperatorError
     └─ ClusterError             any request that failed
         ├─ NotFoundError          404
         ├─ ConflictError          409: the object already exists, has another uid, or has a newer resourceVersion
         ├─ InvalidObjectError     422 or 400: the API server rejects the object; a retry is useless
         ├─ DeniedError            403: RBAC, admission or a quota
         │   └─ TerminatingError   because the namespace is being deleted
         └─ UnavailableError       transient: 5xx, 401, 429, broken connections, timeouts, responses that are not JSON
             ├─ SilentWatchError   a watch without an event for too long
             └─ TooLargeError      the response exceeds the size limit; a request for a smaller page can succeed
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ClusterError(TritonOperatorError):
    """A request that failed; `message` is the text of the API server, or describes the failure."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NotFoundError(ClusterError):
    """The object, or its kind, does not exist."""


class ConflictError(ClusterError):
    """The object already exists, has another uid, or was changed since it was read."""


class InvalidObjectError(ClusterError):
    """The API server rejects the content of the object."""


class DeniedError(ClusterError):
    """Permission is denied, or the object is not admitted."""


class TerminatingError(DeniedError):
    """The namespace is being deleted, so nothing can be created in it; the ModelDeployment is deleted too."""


class UnavailableError(ClusterError):
    """The API server cannot respond now; `retry_after` is its `Retry-After` in seconds, 0 without one."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class SilentWatchError(UnavailableError):
    """A watch without data for longer than the API server's interval between bookmarks."""


class TooLargeError(UnavailableError):
    """The response exceeds the size limit."""
