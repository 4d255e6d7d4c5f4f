"""Whether Kopf gets past what the API server tells: for /healthz.

That it is started again after each failure looks like life. But whoever fails at the same object each time never sees
the objects behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class WatchProgress:
    """What Kopf was given last, and whether it went on from there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: float | None = None

    def gave(self) -> None:
        """Kopf gets a page or an event. The first one that it does not get past counts, not a later attempt."""
        if self._given is None:
            self._given = self._clock()

    def went_on(self) -> None:
        """Kopf asks for more."""
        self._given = None

    def stuck_seconds(self) -> float:
        """For how long it has not got past something; 0 when there is nothing to get past."""
        return 0.0 if self._given is None else self._clock() - self._given
