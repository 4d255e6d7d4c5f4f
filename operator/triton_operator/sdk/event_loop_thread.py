"""An event loop in a thread of its own, for programs that have none.

Input: coroutines, from any thread. Output: their results, in the thread that asked. `Client` runs everything in one,
so that there is one implementation of each call, and any number of threads may share a client.
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
    """Runs until it is closed. The thread is a daemon: a program that forgets to close it still ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="triton-operator-sdk", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end; what interrupts the caller, such as Ctrl-C, cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise UnreachableError("the client was closed in the middle of a call") from error
        except BaseException:
            future.cancel()
            raise

    def iterate(self, values: AsyncGenerator[T]) -> Iterator[T]:
        """Hand through, one at a time; leaving the loop early closes the generator."""

        async def following() -> T:
            return await anext(values)

        try:
            while True:
                try:
                    value = self.run(following())
                except StopAsyncIteration:
                    return
                yield value
        finally:
            self.run(values.aclose())

    def close(self) -> None:
        """End the thread; whatever still runs in it is cancelled first."""
        self.run(_cancel_others())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
