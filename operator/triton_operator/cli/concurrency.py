"""Call functions at the same time, in threads that do not outlive the command.

Input: functions that wait for a server. Output: what they return. A `ThreadPoolExecutor` waits for its threads even
after Ctrl-C, so a server that does not answer would keep the command running until the time limit of the request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")

_SIGNAL_SECONDS = 0.5
"""Python handles a signal that arrives just before a wait only when the wait ends."""


def start(function: Callable[[], T]) -> Future[T]:
    """Call the function in a thread of its own; `result_of` waits for its result."""
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, function), daemon=True).start()
    return future


def call_all(functions: Sequence[Callable[[], T]], *, at_a_time: int) -> list[T]:
    """Return the results in order; raises the first error."""
    waiting: SimpleQueue[tuple[Future[T], Callable[[], T]]] = SimpleQueue()
    futures: list[Future[T]] = [Future() for _ in functions]
    for each in zip(futures, functions, strict=True):
        waiting.put(each)

    def work() -> None:
        while True:
            try:
                future, function = waiting.get_nowait()
            except Empty:
                return
            _settle(future, function)

    for _ in range(min(at_a_time, len(functions))):
        start(work)
    return [result_of(future) for future in futures]


def result_of(future: Future[T]) -> T:
    """Wait for the result without blocking signals; raises the function's error."""
    while not wait([future], _SIGNAL_SECONDS).done:
        pass
    return future.result()


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - raised where the result is read.
        future.set_exception(error)
    else:
        future.set_result(result)
