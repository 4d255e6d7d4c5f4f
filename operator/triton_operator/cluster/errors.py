"""What the API server may answer instead of doing what was asked.

::

    ClusterError
     ├─ NotFound        404
     ├─ Conflict        409: exists already, wrong uid, or a stale resourceVersion
     ├─ Invalid         422 or 400: the object is refused, trying again is useless
     ├─ Denied          403: RBAC, admission or a quota
     │   └─ Terminating    because the namespace is being deleted
     └─ Unavailable     anything that may pass: 5xx, 401, 429, broken connections, time-outs, answers that are no JSON
         ├─ Silent          a watch that said nothing for too long
         └─ TooLarge       the answer has more bytes than are read; a smaller page may not
"""

from __future__ import annotations


class ClusterError(Exception):
    """Any answer that is not a success; `message` is the server's own sentence."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NotFound(ClusterError):
    """The object, or its kind, is not there."""


class Conflict(ClusterError):
    """The object exists already, has another uid, or was changed meanwhile."""


class Invalid(ClusterError):
    """The API server refuses the object's content."""


class Denied(ClusterError):
    """We, or the object, are not allowed."""


class Terminating(Denied):
    """The namespace is being deleted, so nothing can be made in it; the ModelDeployment goes too."""


class Unavailable(ClusterError):
    """The API server cannot answer now; `retry_after` seconds is what it asked for, if it did."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Silent(Unavailable):
    """A stream on which nothing came for longer than the API server should be silent."""


class TooLarge(Unavailable):
    """The answer has more bytes than are taken in at once."""
