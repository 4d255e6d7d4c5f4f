"""A switch that ends streams of the API server from another thread.

Input: the responses that are being read. Output: none; a read that waits for more data returns at once. `follow` and
the log streams use it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Stop:
    """Ends every stream that is attached to it, now and later."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._responses: list[Any] = []

    def now(self) -> None:
        """End all streams."""
        with self._lock:
            self._stopped.set()
            for response in self._responses:
                _shut_down(response)

    @property
    def stopped(self) -> bool:
        """Whether `now` was called."""
        return self._stopped.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until `now` is called."""
        self._stopped.wait(seconds)

    @contextmanager
    def ends(self, response: Any) -> Iterator[None]:
        """Attach a urllib3 response while the block reads it."""
        with self._lock:
            self._responses.append(response)
            if self.stopped:
                _shut_down(response)
        try:
            yield
        finally:
            with self._lock:
                self._responses.remove(response)


def _shut_down(response: Any) -> None:
    with suppress(OSError, ValueError):  # The other side has closed it, or it was read to its end.
        response.shutdown()
