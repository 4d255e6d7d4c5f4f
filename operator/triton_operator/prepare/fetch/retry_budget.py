"""How long a source that does not answer is tried again before the container ends.

The kubelet then starts the container again, ever more seldom; what was fetched stays. So trying here bridges short
outages without making a long one look like a download that is slow.
"""

from __future__ import annotations

import random
import threading
import time
from typing import NoReturn

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.origin import TransientError

WITHOUT_PROGRESS_SECONDS = 30.0
"""How long it goes on without a single byte."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0


class RetryBudget:
    """Shared by the threads of one download: progress of any of them counts for all."""

    def __init__(self, shown: str) -> None:
        """Begin to count; `shown` is the URL for the message at the end."""
        self._shown = shown
        self._last_progress = time.monotonic()
        self._ended = threading.Event()

    def progress(self) -> None:
        """Something arrived."""
        self._last_progress = time.monotonic()

    def end(self) -> None:
        """Another thread has failed for good: whoever waits need not."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether another thread has failed for good."""
        return self._ended.is_set()

    def wait(self, cause: TransientError, attempts: int) -> None:
        """Wait before another attempt, longer after each without progress; raises PrepareError when it is enough."""
        waited = time.monotonic() - self._last_progress
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10), LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1)
        if waited + pause > WITHOUT_PROGRESS_SECONDS:
            raise self._unreachable(f"{cause}; nothing arrived for {waited:.0f} seconds") from cause
        self._ended.wait(pause)

    def give_up(self, cause: TransientError) -> NoReturn:
        """Raise PrepareError: it was tried often enough."""
        raise self._unreachable(f"{cause}; it breaks off again and again, and the server cannot resume") from cause

    def _unreachable(self, message: str) -> PrepareError:
        return PrepareError(Reason.SOURCE_UNREACHABLE, "", f"{self._shown}: {message}")
