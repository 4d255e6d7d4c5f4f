"""Fetch files in parts, several at a time; each part is written to its position in the file.

`run` calls it with the list of files; it returns when all of them are complete. Parts in the journal are not fetched
again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from triton_operator.errors import TritonOperatorError
from triton_operator.prepare.fetch.journal import Journal
from triton_operator.prepare.fetch.origin import Origin, RemoteFile, TransientError
from triton_operator.prepare.fetch.retry_budget import RetryBudget
from triton_operator.prepare.fetch.space import free_bytes, is_full, out_of_space, require_space

PART = 16 << 20
"""Size of one part in bytes: the maximum loss per connection if the container is killed."""
CONNECTIONS = 8
FROM_THE_START = 5
"""Attempts for a file that cannot be resumed; received bytes do not count as progress for such a file."""

ReportProgress = Callable[[int, int | None], None]
"""Called with the received and the total bytes (None: not known), from any thread, about once a second."""


class FilePart(NamedTuple):
    """The bytes of a file from `start` to before `end`; None is the end of the file."""

    file: RemoteFile
    start: int
    end: int | None


def fetch_files(
    origin: Origin, files: list[RemoteFile], folder: Path, journal: Journal, report_progress: ReportProgress
) -> None:
    """Fill `folder` with the files; raises PrepareError, or SourceChangedError if a file was replaced."""
    missing = [part for file in files for part in _missing_parts(file, folder / file.name, journal)]
    tally = _Tally(files, missing, report_progress)
    require_space(origin.shown, folder, tally.missing)
    _in_parallel(_Fetching(origin, folder, journal, RetryBudget(origin.shown), tally), missing)


def _missing_parts(file: RemoteFile, path: Path, journal: Journal) -> list[FilePart]:
    """The parts to fetch; creates the file if it does not exist."""
    parts = _parts(file)
    missing = [part for part in parts if not journal.has(file, part.start)]
    if len(missing) == len(parts) or not path.is_file() or path.stat().st_size != file.size:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with path.open("xb") as new:
            new.truncate(file.size or 0)
        return parts
    return missing


def _parts(file: RemoteFile) -> list[FilePart]:
    if file.size is None or not file.version:
        return [FilePart(file, 0, file.size)] if file.size != 0 else []
    return [FilePart(file, start, min(start + PART, file.size)) for start in range(0, file.size, PART)]


class _Tally:
    """Counts bytes and reports progress at intervals."""

    def __init__(self, files: list[RemoteFile], missing: list[FilePart], report_progress: ReportProgress) -> None:
        sizes = [file.size for file in files]
        self.total = None if None in sizes else sum(size or 0 for size in sizes)
        self.missing = sum(part.end - part.start for part in missing if part.end is not None)
        self._done = (self.total or 0) - self.missing
        self._report_progress, self._reported_at = report_progress, time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            due = now - self._reported_at >= 1
            self._reported_at = now if due else self._reported_at
        if due:
            self._report_progress(self._done, self.total)

    def left(self) -> int | None:
        return None if self.total is None else self.total - self._done


class _StoppedError(TritonOperatorError):
    """Another thread has failed, so this one stops."""


class _Fetching(NamedTuple):
    origin: Origin
    folder: Path
    journal: Journal
    budget: RetryBudget
    tally: _Tally

    def fetch(self, part: FilePart) -> None:
        """Fetch one part with retries, and record it in the journal."""
        descriptor = os.open(self.folder / part.file.name, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            self._fill(part, descriptor)
        finally:
            os.close(descriptor)
        if part.file.version:
            self.journal.add(part.file, part.start)

    def _fill(self, part: FilePart, descriptor: int) -> None:
        position, attempts = part.start, 0
        while part.end is None or position < part.end:
            before = position
            try:
                for chunk in self.origin.read(part.file, position, part.end):
                    position += self._write(descriptor, chunk, position, part.end)
                if part.end is None:
                    return
                _require_progress(part, before, position)
            except TransientError as cause:
                attempts = 0 if part.file.version and position > before else attempts + 1
                if not part.file.version:
                    self._begin_again(cause, attempts, position)
                    position = part.start
                self.budget.wait(cause, attempts)

    def _begin_again(self, cause: TransientError, attempts: int, done: int) -> None:
        self.tally.add(-done)
        if attempts >= FROM_THE_START:
            self.budget.give_up(cause)

    def _write(self, descriptor: int, chunk: bytes, position: int, end: int | None) -> int:
        if self.budget.ended:
            raise _StoppedError
        wanted = memoryview(chunk) if end is None else memoryview(chunk)[: end - position]
        written = 0
        try:
            while written < len(wanted):
                written += os.pwrite(descriptor, wanted[written:], position + written)
        except OSError as error:
            if is_full(error):
                raise out_of_space(self.origin.shown, self.tally.left(), free_bytes(self.folder)) from error
            raise
        self.budget.progress()
        self.tally.add(written)
        return written


def _require_progress(part: FilePart, before: int, position: int) -> None:
    """Raise TransientError for a response that ended early without any data, or that cannot be resumed."""
    if part.end is not None and position < part.end and (position == before or not part.file.version):
        raise TransientError("the server closed the connection early")


def _in_parallel(fetching: _Fetching, parts: Iterable[FilePart]) -> None:
    """Fetch the parts with CONNECTIONS threads; the first failure stops all of them."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        running = [pool.submit(fetching.fetch, part) for part in parts]
        finished = wait(running, return_when=FIRST_EXCEPTION).done
        fetching.budget.end()
        pool.shutdown(cancel_futures=True)
    failures = [error for future in finished if (error := future.exception()) and not isinstance(error, _StoppedError)]
    if failures:
        raise failures[0]
