"""Show the steps of a long command: with a timer on a terminal, or with a line at the start and end of each elsewhere.

Input: a title and a block of work. Output: lines on standard error; standard output is reserved for results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RunningStep:
    """A running step on a terminal; nothing is shown elsewhere."""

    def __init__(self, title: str, bar: tuple[Progress, TaskID] | None = None) -> None:
        self._title = title
        self._bar = bar

    def note(self, detail: str) -> None:
        """Show details of the progress after the title."""
        if self._bar:
            progress, task = self._bar
            progress.update(task, description=f"{self._title}: {detail}")


@contextmanager
def step(title: str) -> Iterator[RunningStep]:
    """Show a running step, then its result and duration."""
    began = time.monotonic()
    mark = "✗"
    try:
        with _shown(title) as shown:
            yield shown
        mark = "✓"
    finally:
        with suppress(OSError):  # The terminal may be closed; the cleanup must continue.
            typer.echo(f"{mark} {title} {time.monotonic() - began:.1f} s", err=True)


@contextmanager
def _shown(title: str) -> Iterator[RunningStep]:
    if not sys.stderr.isatty():
        typer.echo(f"… {title}", err=True)
        yield RunningStep(title)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield RunningStep(title, (progress, progress.add_task(title)))
