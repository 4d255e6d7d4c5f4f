"""Display the progress of the developer tools: one line per step, with its duration.

Input: a title and a block of code. Output: lines on standard error, so that standard output contains only results. On a
terminal, the line shows the elapsed time; elsewhere, one line marks the start of a step and one its end. Concurrent and
nested steps share one line on a terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICK_SECONDS = 0.2
_LINE_SECONDS = 10.0
_BOLD, _GREEN, _RED, _DIM, _RESET = "\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_output = threading.RLock()
_active: list[OngoingStep] = []


class OngoingStep:
    """A running step; `note()` displays its progress in a few words."""

    def __init__(self, title: str) -> None:
        """Start measuring the duration of the step `title`."""
        self.title = title
        self.detail = ""
        self.started = time.monotonic()
        self._noted = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the step started."""
        return time.monotonic() - self.started

    def note(self, detail: str) -> None:
        """Display `detail` after the title; without a terminal, as a separate line, at most every 10 s."""
        self.detail = detail
        if not _is_terminal() and self.seconds - self._noted >= _LINE_SECONDS:
            self._noted = self.seconds
            _write(f"  … {self.title}: {detail} ({self.seconds:.0f} s)\n")


@contextmanager
def step(title: str) -> Iterator[OngoingStep]:
    """Print the title, then ✓ or ✗ and the duration in seconds."""
    current = OngoingStep(title)
    _active.append(current)
    finished = threading.Event()
    painter = threading.Thread(target=_paint, args=(current, finished), daemon=True)
    if _is_terminal():
        painter.start()
    else:
        _write(f"… {title}\n")
    try:
        yield current
    except BaseException:
        _end(current, painter, finished, "✗", _RED)
        raise
    _end(current, painter, finished, "✓", _GREEN)


def say(message: str) -> None:
    """Print a line that does not belong to a step."""
    _write(f"{message}\n")


def bold(text: str) -> str:
    """Format `text` in bold on a terminal; return it unchanged elsewhere."""
    return _coloured(text, _BOLD)


def _paint(current: OngoingStep, finished: threading.Event) -> None:
    while not finished.wait(_TICK_SECONDS):
        if _active and _active[-1] is current:
            _write(f"\r\033[K{_coloured(_line(list(_active)), _DIM)}")


def _line(steps: list[OngoingStep]) -> str:
    """All running steps on one line that fits the terminal, so that a carriage return can overwrite it."""
    texts = (f"… {each.title} {each.seconds:.0f} s {each.detail}".rstrip() for each in steps)
    return " ".join(texts)[: shutil.get_terminal_size().columns - 1]


def _end(current: OngoingStep, painter: threading.Thread, finished: threading.Event, mark: str, colour: str) -> None:
    finished.set()
    _active.remove(current)
    if painter.is_alive():
        painter.join()
    clear = "\r\033[K" if _is_terminal() else ""
    _write(f"{clear}{_coloured(mark, colour)} {current.title} {current.seconds:.1f} s\n")


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _coloured(text: str, colour: str) -> str:
    if not _is_terminal() or "NO_COLOR" in os.environ:
        return text
    return f"{colour}{text}{_RESET}"


def _write(text: str) -> None:
    with _output:
        sys.stderr.write(text)
        sys.stderr.flush()
