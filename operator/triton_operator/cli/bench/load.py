"""Generate load: several connections, each of which sends the next request after the response to the previous one.

Input: a function that opens connections, and a duration. Output: the latencies of the requests that started and
finished during the measurement. Ctrl-C ends the measurement early.
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
"""Pause after a failure, so that a server that rejects requests is not flooded."""
END_SECONDS = 0.5
"""How long to wait for pending requests at the end, if they can be abandoned."""
_CLEAR = "\r\033[K"


@dataclass
class Measured:
    """The results; latencies in seconds."""

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Duration of the measurement."""
    busy: float = 0.0
    """CPU cores that this program used."""
    interrupted: bool = False


def run(connect: Connect, *, number: int, warm_up: float, seconds: float, patience: float = END_SECONDS) -> Measured:
    """Send requests over `number` connections; those of the first `warm_up` seconds are not counted.

    At the end, pending requests are awaited for up to `patience` seconds. If `patience` exceeds END_SECONDS, requests
    without a response by then count as failures.
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
        measured.errors[f"no response within {patience:g} s"] += unanswered
    return measured


def _join(workers: Sequence[threading.Thread], seconds: float) -> int:
    """Wait for all workers, in total up to `seconds`; return how many are still running."""
    last = time.perf_counter() + seconds
    for worker in workers:
        worker.join(max(0.0, last - time.perf_counter()))
    return sum(worker.is_alive() for worker in workers)


def _watch(measured: Measured, begin: float, end: float, stop: threading.Event) -> None:
    """Wait for the end; show the progress on a terminal."""
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
