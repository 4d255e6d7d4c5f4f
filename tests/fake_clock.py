"""A monotonic clock that advances only when a test sets it, or when the code under test pauses."""

from __future__ import annotations

import asyncio


class FakeClock:
    """`now` is the time in seconds. Call the clock like `time.monotonic`, and pass `pause` for `asyncio.sleep`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def pause(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
