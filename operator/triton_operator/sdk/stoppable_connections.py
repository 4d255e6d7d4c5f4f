"""Let a `Stop` end the wait for the header of a response, which urllib3 does not support.

Input: a pool manager of urllib3, and the `Stop` of the request that a thread sends. Output: none. The kubelet sends the
header of a followed log with its first line, so this wait has no limit. `kubernetes_client` uses it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR
from typing import Any

from triton_operator.sdk.stop import Stop

_request = threading.local()


@contextmanager
def ended_by(stop: Stop) -> Iterator[None]:
    """Let `stop` end the requests that this thread sends in the block."""
    _request.stop = stop
    try:
        yield
    finally:
        del _request.stop


def make_stoppable(manager: Any) -> None:
    """Replace the manager's classes of connection pools; call it before the first request."""
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": _stoppable(pool.ConnectionCls)})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _stoppable(connection_class: Any) -> type:
    """The class with a `getresponse` that the `Stop` of the request ends."""

    def getresponse(self: Any) -> Any:
        stop: Stop | None = getattr(_request, "stop", None)
        shutdown = getattr(self.sock, "shutdown", None)  # None for TLS inside TLS (an HTTPS proxy).
        if stop is None or shutdown is None:
            return connection_class.getresponse(self)
        with stop.ends(lambda: shutdown(SHUT_RDWR)):
            return connection_class.getresponse(self)

    return type(connection_class.__name__, (connection_class,), {"getresponse": getresponse})
