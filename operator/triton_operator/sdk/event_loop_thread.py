"""An event loop in a thread of its own, for applications without asyncio.

Input: coroutines, from any thread. Output: their results, in the calling thread. `Client` runs all calls of its
`AsyncClient` in one, so threads can share a client.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

from triton_operator.sdk.errors import UnreachableError

T = TypeVar("T")


class EventLoopThread:
    """Runs until `close`. The thread is a daemon, so it does not keep a program alive that does not close it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="triton-operator-sdk", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. An exception in the calling thread, such as Ctrl-C, cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise UnreachableError("the client was closed during a call") from error
        except BaseException:
            future.cancel()
            raise

    def iterate(self, values: AsyncGenerator[T]) -> Iterator[T]:
        """Yield the values of an asynchronous generator, and close it when the caller stops iterating."""

        async def read_next() -> T:
            return await anext(values)

        try:
            while True:
                try:
                    value = self.run(read_next())
                except StopAsyncIteration:
                    return
                yield value
        finally:
            self.run(values.aclose())

    def close(self) -> None:
        """Cancel what still runs, then end the thread."""
        self.run(_cancel_other_tasks())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_other_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
