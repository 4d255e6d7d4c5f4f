"""Load: several connections, each sending its next request when it has its answer, for a bounded time.

Input: a way to open connections, and how long. Output: the latencies of those requests that were begun and answered in
the time that counts. `bench` uses it; Ctrl-C ends it with what there is.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from triton_operator.cli.bench.wire import Connect

_PAUSE_SECONDS = 0.05
"""After a failure, so that a server that refuses is not flooded."""
END_SECONDS = 0.5
"""For what is under way at the end, where it may be left to itself."""
_CLEAR = "\r\033[K"


@dataclass
class Measured:
    """What came of it; latencies in seconds."""

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """How long it counted."""
    busy: float = 0.0
    """Cores of this machine that the program itself needed."""
    interrupted: bool = False


def run(connect: Connect, *, number: int, warm_up: float, seconds: float, patience: float = END_SECONDS) -> Measured:
    """Load with so many connections; requests of the first `warm_up` seconds do not count.

    What is under way at the end is waited for, up to `patience` seconds; with more than END_SECONDS of it, what is not
    answered by then counts as a failure.
    """
    started = time.perf_counter()
    begin, end = started + warm_up, started + warm_up + seconds
    stop, measured, lock = threading.Event(), Measured(), threading.Lock()

    def work() -> None:
        with connect() as send:
            while not stop.is_set():
                sent = time.perf_counter()
                error = send()
                now = time.perf_counter()
                if begin <= sent and now <= end and not stop.is_set():
                    keep(now - sent, error)
                if error:
                    stop.wait(_PAUSE_SECONDS)

    def keep(latency: float, error: str) -> None:
        with lock:
            if error:
                measured.errors[error] += 1
            else:
                measured.latencies.append(latency)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(number)]
    for worker in workers:
        worker.start()
    try:
        stop.wait(max(0.0, begin - time.perf_counter()))
        cpu = time.process_time()
        try:
            _watch(measured, begin, end, stop)
        finally:
            measured.seconds = min(time.perf_counter(), end) - begin
            measured.busy = (time.process_time() - cpu) / measured.seconds
    except KeyboardInterrupt:
        measured.interrupted = True
    finally:
        stop.set()
    unanswered = _join(workers, patience)
    if unanswered and patience > END_SECONDS:
        measured.errors[f"no answer within {patience:g} s"] += unanswered
    return measured


def _join(workers: Sequence[threading.Thread], seconds: float) -> int:
    """Wait so long for all of them together; how many are still at it."""
    last = time.perf_counter() + seconds
    for worker in workers:
        worker.join(max(0.0, last - time.perf_counter()))
    return sum(worker.is_alive() for worker in workers)


def _watch(measured: Measured, begin: float, end: float, stop: threading.Event) -> None:
    """Wait for the end; on a terminal with a line about how far it is."""
    shown = sys.stderr.isatty()
    try:
        while (now := time.perf_counter()) < end:
            if shown and now - begin > 1:
                rate = len(measured.latencies) / (now - begin)
                sys.stderr.write(f"{_CLEAR}{now - begin:.0f} s of {end - begin:.0f} s, {rate:.0f} requests/s")
                sys.stderr.flush()
            stop.wait(min(1.0, end - now))
    finally:
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
