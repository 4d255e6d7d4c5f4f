"""The time during which failed requests to a source or a vault are retried before the container exits.

The kubelet then restarts the container with increasing delays; fetched parts are kept. The retries cover short outages,
and a long outage is still reported as such instead of looking like a slow download.
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
"""Maximum time without any received data."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0


class RetryBudget:
    """Shared by the threads of one download: progress of one thread counts for all."""

    def __init__(
        self, shown: str, reason: str = Reason.SOURCE_UNREACHABLE, failure: str = "no data was received"
    ) -> None:
        """Start the clock; `reason` and `failure` describe the end of the budget.

        `shown` is the URL for messages, or "" if the causes name the address.
        """
        self._shown = shown
        self._reason = reason
        self._failure = failure
        self._last_progress = time.monotonic()
        self._ended = threading.Event()

    def progress(self) -> None:
        """Record that data was received."""
        self._last_progress = time.monotonic()

    def end(self) -> None:
        """Stop all waits, because another thread has failed permanently."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether another thread has failed permanently."""
        return self._ended.is_set()

    def wait(self, cause: TransientError, attempts: int) -> None:
        """Wait before the next attempt with exponential backoff; raises PrepareError when the budget is exhausted."""
        waited = time.monotonic() - self._last_progress
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10), LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1)
        if waited + pause > WITHOUT_PROGRESS_SECONDS:
            raise self._unreachable(f"{cause}; {self._failure} for {waited:.0f} seconds") from cause
        self._ended.wait(pause)

    def give_up(self, cause: TransientError) -> NoReturn:
        """Raise PrepareError, because the maximum number of attempts is reached."""
        raise self._unreachable(f"{cause}; every attempt failed, and the server does not support resuming") from cause

    def _unreachable(self, message: str) -> PrepareError:
        return PrepareError(self._reason, "", f"{self._shown}: {message}" if self._shown else message)
