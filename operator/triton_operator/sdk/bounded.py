"""Concurrency for the clients: several coroutines at a time, up to a limit.

Input: functions that create coroutines. Output: their results in order. `Inference` sends the parts of a batch with
`run_bounded` and reads the requests of a stream with `iterate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_bounded(factories: list[Callable[[], Coroutine[Any, Any, T]]], limit: int) -> list[T]:
    """Run all coroutines, at most `limit` at a time. The first failure cancels the others and is raised."""
    semaphore = asyncio.Semaphore(limit)

    async def run(factory: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with semaphore:
            return await factory()

    if len(factories) == 1:
        return [await factories[0]()]
    tasks = [asyncio.ensure_future(run(factory)) for factory in factories]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def iterate(values: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the values of either kind of iterable."""
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
