"""The work queue: each key once, one worker per key, and delays after failures."""

from __future__ import annotations

import asyncio

import pytest

from tests.fake_clock import FakeClock
from triton_operator.runtime.work_queue import MOST_IN_A_ROW, QueueShutDownError, WorkQueue

KEY, OTHER = ("shop", "digits"), ("shop", "other")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that advances only when a test sets it."""
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[tuple[str, str]]:
    """An empty queue."""
    return WorkQueue(clock)


async def test_keys_come_out_once_and_in_order(queue: WorkQueue[tuple[str, str]]) -> None:
    """However often they were added."""
    for key in (KEY, OTHER, KEY, KEY):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == [KEY, OTHER]
    assert len(queue) == 0


async def test_changed_keys_precede_routine_keys(queue: WorkQueue[tuple[str, str]]) -> None:
    """Also if the same key is waiting for a routine pass."""
    keys = [("shop", f"digits-{number}") for number in range(100)]
    queue.add_routine(keys)
    queue.add(keys[70])
    queue.add(KEY)
    queue.add_routine([KEY])
    assert len(queue) == 101
    assert [await queue.get() for _ in range(3)] == [keys[70], KEY, keys[0]]
    assert len([await queue.get() for _ in range(98)]) == 98
    assert len(queue) == 0


async def test_routine_has_its_turn_however_much_changes(queue: WorkQueue[tuple[str, str]]) -> None:
    queue.add_routine([KEY])
    for number in range(100):
        queue.add(("shop", f"digits-{number}"))
    assert KEY in [await queue.get() for _ in range(MOST_IN_A_ROW + 1)]


async def test_the_age_of_routine_counts(queue: WorkQueue[tuple[str, str]], clock: FakeClock) -> None:
    queue.add_routine([KEY])
    clock.now += 5
    queue.add(OTHER)
    assert queue.oldest_age() == 5


async def test_a_key_in_progress_is_returned_again_only_afterwards(
    queue: WorkQueue[tuple[str, str]],
) -> None:
    """A change during a pass is not lost, and no two workers have the same key."""
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)
    queue.add(KEY)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(KEY)
    assert await waiting == KEY
    queue.done(KEY)
    assert len(queue) == 0
    assert queue.busy == 0


async def test_failures_are_retried_with_growing_pauses(queue: WorkQueue[tuple[str, str]]) -> None:
    """From 0.5 s, doubled up to 300 s, reduced by up to a half."""
    pauses = [queue.retry(KEY) for _ in range(12)]
    for number, pause in enumerate(pauses):
        whole = min(0.5 * 2**number, 300.0)
        assert whole / 2 <= pause <= whole
    queue.forget(KEY)
    assert queue.retry(KEY) <= 0.5
    assert queue.retry(KEY, at_least=42.0) == 42.0
    queue.close()


async def test_a_delayed_key_is_returned_when_due(queue: WorkQueue[tuple[str, str]]) -> None:
    """It does not count as waiting before that."""
    queue.add_after(KEY, 0.01)
    assert len(queue) == 0
    assert await asyncio.wait_for(queue.get(), 60) == KEY


async def test_an_earlier_pass_replaces_the_delayed_one(queue: WorkQueue[tuple[str, str]]) -> None:
    """The pass decides again about a delay."""
    queue.add_after(KEY, 0.01)
    queue.add(KEY)
    assert await queue.get() == KEY
    queue.done(KEY)
    assert queue._timers == {}


async def test_a_waiting_key_is_not_delayed(queue: WorkQueue[tuple[str, str]]) -> None:
    """It was added while its pass failed, so it is reconciled immediately."""
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)
    queue.retry(KEY)
    queue.done(KEY)
    assert await asyncio.wait_for(queue.get(), 60) == KEY


async def test_the_age_is_that_of_the_longest_waiting_key(queue: WorkQueue[tuple[str, str]], clock: FakeClock) -> None:
    """Also of a key that waits for its current pass to end."""
    assert queue.oldest_age() == 0
    queue.add(KEY)
    clock.now += 5
    queue.add(OTHER)
    clock.now += 2
    assert queue.oldest_age() == 7
    await queue.get()
    assert queue.oldest_age() == 2
    queue.add(KEY)
    clock.now += 3
    queue.done(KEY)
    await queue.get()
    assert queue.oldest_age() == 3


async def test_a_closed_queue_ends_all_workers(queue: WorkQueue[tuple[str, str]]) -> None:
    """Those that wait and those that call it later; delayed keys are dropped."""
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.add_after(KEY, 0.01)
    await asyncio.sleep(0)
    queue.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [QueueShutDownError] * 3
    with pytest.raises(QueueShutDownError):
        await queue.get()
    queue.add(KEY)
    queue.add_after(KEY, 1)
    assert len(queue) == 0
    assert queue._timers == {}


async def test_idle_waits_for_keys_in_progress(queue: WorkQueue[tuple[str, str]]) -> None:
    """SIGTERM lets passes finish."""
    await queue.idle()
    queue.add(KEY)
    await queue.get()
    waiting = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(KEY)
    await waiting
