"""Several coroutines at a time, but not too many.

Input: what makes each coroutine. Output: their results in order. `AsyncClient` sends the parts of a batch with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_bounded(makers: list[Callable[[], Coroutine[Any, Any, T]]], limit: int) -> list[T]:
    """Run all, at most `limit` at a time; the first failure ends the others, so that none goes on unseen."""
    gate = asyncio.Semaphore(limit)

    async def run(maker: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with gate:
            return await maker()

    if len(makers) == 1:
        return [await makers[0]()]
    tasks = [asyncio.ensure_future(run(maker)) for maker in makers]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def iterate(values: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Hand through, whichever kind of iterable it is."""
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
