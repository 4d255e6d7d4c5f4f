"""Functions that a command calls at the same time."""

from __future__ import annotations

import signal
import threading
from functools import partial

import pytest

from triton_operator.cli.concurrency import call_all, start


def test_results_are_in_order_and_the_first_error_is_raised() -> None:
    assert call_all([partial(int, str(number)) for number in range(9)], at_a_time=2) == list(range(9))
    assert call_all([], at_a_time=2) == []
    with pytest.raises(ValueError, match="two"):
        call_all([lambda: 1, lambda: int("two"), lambda: int("three")], at_a_time=1)


def test_no_more_than_so_many_run_at_a_time() -> None:
    running, most = threading.Semaphore(2), []

    def run() -> None:
        most.append(running.acquire(blocking=False))
        running.release()

    call_all([run] * 20, at_a_time=2)
    assert all(most)


def test_ctrl_c_does_not_wait_for_functions_that_hang() -> None:
    """Their threads end with the process."""
    started, end = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        started.set()
        end.wait()

    def interrupt() -> None:
        started.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    start(interrupt)
    with pytest.raises(KeyboardInterrupt):
        call_all([hang], at_a_time=1)
    assert [(thread.is_alive(), thread.daemon) for thread in threads] == [(True, True)]
    end.set()
