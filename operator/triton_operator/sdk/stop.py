"""Stop requests and streams of the API server from another thread.

Input: functions that end what a thread waits for. Output: none; a wait for more data returns at once. `follow` and the
log streams use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

End = Callable[[], object]
"""Shuts down the socket that a thread reads from."""


class Stop:
    """Ends every wait that is attached to it, now and later."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._ends: list[End] = []

    def now(self) -> None:
        """End all waits."""
        with self._lock:
            self._stopped.set()
            for end in self._ends:
                _call(end)

    @property
    def stopped(self) -> bool:
        """Whether `now` was called."""
        return self._stopped.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for this time, or until `now` is called."""
        self._stopped.wait(seconds)

    @contextmanager
    def ends(self, end: End) -> Iterator[None]:
        """Attach the wait of the block."""
        with self._lock:
            self._ends.append(end)
            if self.stopped:
                _call(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


def _call(end: End) -> None:
    with suppress(OSError, ValueError):  # The other side has closed it, or it was read to its end.
        end()
