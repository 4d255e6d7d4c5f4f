"""gRPC calls that are never cancelled: a call continues in the background if its caller stops waiting.

Input: gRPC calls. Output: their responses, for callers that still wait. Triton before 25.04 crashes when a client
cancels a call (triton-inference-server/server issues 7368 and 8034), which a deadline, the cancellation of the waiting
task and the closing of the channel all do. A client cannot know a server's release in advance, so it never cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CLOSE_SECONDS = 30.0
"""How long a closing client waits for calls in flight, which is as long as a stopping Triton waits."""
STREAM_SECONDS = 5.0
"""How long an abandoned stream may continue; a stream that never ends must be cancelled."""


class InFlight:
    """The calls in flight of one channel."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def wait_for(self, call: Coroutine[Any, Any, T]) -> T:
        """Start a call and return its response. Cancelling this coroutine stops waiting but not the call."""
        return await asyncio.shield(self.start(call))

    def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a call in the background."""
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def wait_until_done(self, seconds: float) -> None:
        """Return when no call is in flight, or after this time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved: asyncio would log it otherwise.


class Responses:
    """The responses of one stream, for one reader."""

    def __init__(self, responses: Any, calls: InFlight) -> None:
        self._responses = responses
        self._calls = calls
        self._reading: asyncio.Task[Any] | None = None

    async def read(self) -> Any:
        """Return the next response; raises StopAsyncIteration after the last. Cancelling this loses none."""
        if self._reading is None:
            self._reading = self._calls.start(self._responses.__anext__())
        reading = self._reading
        try:
            return await asyncio.shield(reading)
        finally:
            if reading.done():
                self._reading = None

    def abandon(self) -> None:
        """Read and drop the rest in the background, until the server ends the stream."""
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
    """The requests of one stream, which can end before their source does.

    An exception of the source is kept for `raise_failure`, because gRPC would cancel the stream for it.
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._ended = asyncio.Event()
        self._failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield the requests until the source ends or fails, or `end` is called."""
        ended = asyncio.ensure_future(self._ended.wait())
        pending: asyncio.Future[Any] = ended
        try:
            while not ended.done():
                pending = asyncio.ensure_future(anext(self._source, _END))
                await asyncio.wait({pending, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not pending.done() or (request := pending.result()) is _END:
                    return
                yield request
        except Exception as error:  # noqa: BLE001 -- `raise_failure` raises it
            self._failure = error
        finally:
            pending.cancel()
            ended.cancel()

    def end(self) -> None:
        """Stop reading requests from the source."""
        self._ended.set()

    def raise_failure(self) -> None:
        """Raise the exception of the source, if there was one."""
        if self._failure is not None:
            raise self._failure


_END = object()
