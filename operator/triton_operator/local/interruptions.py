"""Run a process that an interruption always ends, even one that arrives while the process is starting.

Input: a command. Output: the running process in its own session, which is killed at the end of the block. `installer`
calls it.
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
def running_process(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process with stdout and stderr as one stream; at the end of the block, kill it and its children."""
    process: subprocess.Popen[str] | None = None
    try:
        with _deferred_interruptions():
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip
        yield process
    finally:
        if process is not None:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


@contextmanager
def _deferred_interruptions() -> Iterator[None]:
    """Defer interruptions to the end of the block; an interruption within Popen would lose the process ID."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals only in the main thread.
        yield
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _INTERRUPTIONS}
    callables = {number: handler for number, handler in handlers.items() if callable(handler)}
    for each in callables:
        signal.signal(each, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for each, handler in callables.items():
            signal.signal(each, handler)
    for number in received:
        callables[signal.Signals(number)](number, None)
