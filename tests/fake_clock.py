"""A monotonic clock that moves only when told, or by the pauses that the code under test takes."""

from __future__ import annotations

import asyncio


class FakeClock:
    """Seconds in `now`; call it like `time.monotonic`, and give `pause` where `asyncio.sleep` would go."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    async def pause(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
