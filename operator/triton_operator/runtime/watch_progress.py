"""Whether Kopf makes progress with what the API server sends: for /healthz.

Kopf is restarted after each failure, but if it fails at the same object each time, it never reaches the next ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class WatchProgress:
    """When Kopf received data that it has not finished with."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._received_at: float | None = None

    def received(self) -> None:
        """Kopf receives a page or an event. If it fails repeatedly, the first attempt counts."""
        if self._received_at is None:
            self._received_at = self._clock()

    def finished(self) -> None:
        """Kopf requests more."""
        self._received_at = None

    def stuck_seconds(self) -> float:
        """Seconds since Kopf received data that it has not finished with; 0 if there is none."""
        return 0.0 if self._received_at is None else self._clock() - self._received_at
