"""Exponential backoff with jitter, for everything that retries without an end."""

from __future__ import annotations

import random


class Backoff:
    """Pauses of `first` * 2**n seconds up to `cap`, each shortened by up to a half at random."""

    def __init__(self, first: float = 0.5, cap: float = 30.0) -> None:
        self._first = first
        self._cap = cap
        self.failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """The pause after one more failure; `at_least` is the server's `Retry-After` in seconds."""
        pause = min(self._first * 2.0 ** min(self.failures, 30), self._cap)
        self.failures += 1
        return max(pause * random.uniform(0.5, 1.0), at_least)

    def reset(self) -> None:
        """After a success: the next failure counts as the first."""
        self.failures = 0
