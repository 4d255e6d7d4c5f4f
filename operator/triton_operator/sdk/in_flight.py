"""Calls that are never cancelled: whoever stops waiting leaves them to end by themselves.

Input: calls of gRPC. Output: their answers, to those who still wait. Triton before 25.04 crashes when clients cancel
calls (triton-inference-server/server issues 7368 and 8034), and a client does so by a deadline, by cancelling the task
that waits, and by closing the channel. A client cannot see a server's release before it calls, so no call is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CLOSE_SECONDS = 30.0
"""How long a closing client waits for calls in flight: as long as a stopping Triton does."""
STREAM_SECONDS = 5.0
"""How long a stream that nobody reads any more may go on; one that never ends has to be cancelled."""


class InFlight:
    """The calls under way of one channel."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def wait_for(self, call: Coroutine[Any, Any, T]) -> T:
        """Start the call and return its answer; cancelling this only stops waiting."""
        return await asyncio.shield(self.start(call))

    def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let the call go on by itself."""
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def ended(self, seconds: float) -> None:
        """Return when none is under way any more, or after so many seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Python would tell of it where nobody waits any more.


class Responses:
    """The responses of one stream, read by one reader."""

    def __init__(self, responses: Any, calls: InFlight) -> None:
        self._responses = responses
        self._calls = calls
        self._reading: asyncio.Task[Any] | None = None

    async def read(self) -> Any:
        """Return the next; raises StopAsyncIteration after the last. Cancelling this loses none."""
        if self._reading is None:
            self._reading = self._calls.start(self._responses.__anext__())
        reading = self._reading
        try:
            return await asyncio.shield(reading)
        finally:
            if reading.done():
                self._reading = None

    def leave(self) -> None:
        """Stop reading: the server ends the stream when it has answered what it has."""
        self._calls.start(self._drain())

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                while True:
                    await self.read()
        except (TimeoutError, StopAsyncIteration):
            pass
        finally:
            self._responses.cancel()


class Requests:
    """The requests of one stream, which can be ended before their source ends.

    A failure of the source is kept, as gRPC would cancel the stream.
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._left = asyncio.Event()
        self._failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield them until the source ends or fails, or the reader has left."""
        left = asyncio.ensure_future(self._left.wait())
        coming: asyncio.Future[Any] = left
        try:
            while not left.done():
                coming = asyncio.ensure_future(anext(self._source, _END))
                await asyncio.wait({coming, left}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done() or (request := coming.result()) is _END:
                    return
                yield request
        except Exception as error:  # noqa: BLE001 -- the reader raises it
            self._failure = error
        finally:
            coming.cancel()
            left.cancel()

    def leave(self) -> None:
        """Ask for no more of them."""
        self._left.set()

    def raise_failure(self) -> None:
        """Raise what the source failed with, if it did."""
        if self._failure is not None:
            raise self._failure


_END = object()
