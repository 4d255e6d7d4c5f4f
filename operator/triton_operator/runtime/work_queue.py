"""The work queue: each key once, for one worker at a time, with exponential retry.

The semantics are those of client-go's work queue, with two priorities: changed keys come before routine ones, so that
an edit does not wait behind the thousands of keys of a start or a resync. Watches, the resync and the workers add keys,
and workers take them. Not thread-safe; used from one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from triton_operator.cluster.backoff import Backoff
from triton_operator.errors import TritonOperatorError

K = TypeVar("K")

FIRST_RETRY = 0.5
LAST_RETRY = 300.0
MOST_IN_A_ROW = 8
"""Number of changed keys in a row after which a waiting routine key has its turn."""


class QueueShutDownError(TritonOperatorError):
    """The queue is closed."""


class WorkQueue(Generic[K]):
    """Changed keys before routine ones, each in the order in which they were added."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[K, float] = {}  # When each was added; dictionaries keep the order.
        self._routine: dict[K, float] = {}
        self._in_a_row = 0
        self._busy: set[K] = set()
        self._again: dict[K, float] = {}  # Added while busy.
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._backoffs: dict[K, Backoff] = {}
        self._wakeups: asyncio.Queue[None] = asyncio.Queue()
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._routine) + len(self._again)

    @property
    def busy(self) -> int:
        """Number of keys that are being worked on."""
        return len(self._busy)

    def oldest_age(self) -> float:
        """Seconds that the longest waiting key has waited, 0 if none waits; delayed keys do not count."""
        waiting = [*self._waiting.values(), *self._routine.values()]
        return self._clock() - min(waiting) if waiting else 0.0

    def add(self, key: K) -> None:
        """Add a key that has changed, before all routine ones."""
        self._add(key, self._waiting)

    def add_routine(self, keys: Iterable[K]) -> None:
        """Add keys that are not known to have changed."""
        for key in keys:
            self._add(key, self._routine)

    def _add(self, key: K, rank: dict[K, float]) -> None:
        if self._closed:
            return
        self._cancel_timer(key)
        if key in self._busy:
            self._again.setdefault(key, self._clock())
        elif key in self._routine and rank is self._waiting:
            self._waiting[key] = self._routine.pop(key)  # Its wake-up is already in the queue.
        elif key not in self._waiting and key not in self._routine:
            rank[key] = self._clock()
            self._wakeups.put_nowait(None)

    def add_after(self, key: K, seconds: float) -> None:
        """Add a key after a delay, unless it is added sooner."""
        if self._closed or key in self._waiting or key in self._routine or key in self._again:
            return
        self._cancel_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Add a key that failed again after a growing pause; returns the pause in seconds."""
        backoff = self._backoffs.setdefault(key, Backoff(FIRST_RETRY, LAST_RETRY))
        pause = backoff.next(at_least)
        self.add_after(key, pause)
        return pause

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure counts as the first."""
        self._backoffs.pop(key, None)

    async def get(self) -> K:
        """The next key; the caller must call `done` with it. Raises QueueShutDownError after `close`."""
        await self._wakeups.get()
        if self._closed:
            self._wakeups.put_nowait(None)  # for the next worker
            raise QueueShutDownError
        key = self._take()
        self._busy.add(key)
        self._idle.clear()
        return key

    def _take(self) -> K:
        """The next key of the priority whose turn it is."""
        changed = bool(self._waiting) and not (self._routine and self._in_a_row >= MOST_IN_A_ROW)
        self._in_a_row = self._in_a_row + 1 if changed else 0
        rank = self._waiting if changed else self._routine
        key = next(iter(rank))
        del rank[key]
        return key

    def done(self, key: K) -> None:
        """A worker has finished with the key; if it was added meanwhile, it waits again."""
        self._busy.discard(key)
        if not self._busy:
            self._idle.set()
        since = self._again.pop(key, None)
        if since is not None:
            self._waiting[key] = since
            self._wakeups.put_nowait(None)

    async def idle(self) -> None:
        """Wait until no key is being worked on."""
        await self._idle.wait()

    def close(self) -> None:
        """Return no more keys and cancel delayed ones; keys that are being worked on are not affected."""
        self._closed = True
        for key in list(self._timers):
            self._cancel_timer(key)
        self._wakeups.put_nowait(None)

    def _cancel_timer(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
