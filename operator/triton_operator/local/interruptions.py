"""Processes that an interruption cannot leave behind, not even one that comes while they are started.

Input: a command. Output: the running process, in a session of its own, which ends with the block. `installer` calls.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start it, with its output as one stream; at the end of the block all that it started is killed."""
    process: subprocess.Popen[str] | None = None
    try:
        with _held_back():
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip
        yield process
    finally:
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


@contextmanager
def _held_back() -> Iterator[None]:
    """Let an interruption wait for the end of the block; inside of Popen it would lose the number of the process."""
    if threading.current_thread() is not threading.main_thread():  # Python interrupts no other.
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _INTERRUPTIONS}
    called = {number: handler for number, handler in handlers.items() if callable(handler)}
    for each in called:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for each, handler in called.items():
            signal.signal(each, handler)
    for number in came:
        called[signal.Signals(number)](number, None)
