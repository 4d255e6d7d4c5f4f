"""What the API server may answer instead of doing what was asked.

::

    TritonOperatorError
     └─ ClusterError             any response that is not a success
         ├─ NotFoundError          404
         ├─ ConflictError          409: exists already, wrong uid, or a stale resourceVersion
         ├─ InvalidObjectError     422 or 400: the API server rejects the object; a retry is useless
         ├─ DeniedError            403: RBAC, admission or a quota
         │   └─ TerminatingError   because the namespace is being deleted
         └─ UnavailableError       transient: 5xx, 401, 429, broken connections, timeouts, responses that are not JSON
             ├─ SilentWatchError   a watch without an event for too long
             └─ TooLargeError      the answer has more bytes than are read; a smaller page may not
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ClusterError(TritonOperatorError):
    """Any answer that is not a success; `message` is the server's own sentence."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NotFoundError(ClusterError):
    """The object, or its kind, is not there."""


class ConflictError(ClusterError):
    """The object exists already, has another uid, or was changed meanwhile."""


class InvalidObjectError(ClusterError):
    """The API server refuses the object's content."""


class DeniedError(ClusterError):
    """We, or the object, are not allowed."""


class TerminatingError(DeniedError):
    """The namespace is being deleted, so nothing can be made in it; the ModelDeployment goes too."""


class UnavailableError(ClusterError):
    """The API server cannot answer now; `retry_after` seconds is what it asked for, if it did."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class SilentWatchError(UnavailableError):
    """A stream on which nothing came for longer than the API server should be silent."""


class TooLargeError(UnavailableError):
    """The answer has more bytes than are taken in at once."""
