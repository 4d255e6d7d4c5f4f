"""What a person sees of the steps of a long command: on a terminal a running time, elsewhere a line at each end.

Input: a title and the block of work. Output: lines on standard error; standard output stays free for the answer.
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


class Shown:
    """A running step on the screen, or nothing where there is no terminal."""

    def __init__(self, title: str, bar: tuple[Progress, TaskID] | None = None) -> None:
        self._title = title
        self._bar = bar

    def note(self, detail: str) -> None:
        """Show how far it is beside the title."""
        if self._bar:
            progress, task = self._bar
            progress.update(task, description=f"{self._title}: {detail}")


@contextmanager
def step(title: str) -> Iterator[Shown]:
    """Show that `title` is worked on, then how long it took; a step that fails says so."""
    began = time.monotonic()
    mark = "✗"
    try:
        with _shown(title) as shown:
            yield shown
        mark = "✓"
    finally:
        with suppress(OSError):  # The terminal may be gone, and what is to be cleaned up is not.
            typer.echo(f"{mark} {title} {time.monotonic() - began:.1f} s", err=True)


@contextmanager
def _shown(title: str) -> Iterator[Shown]:
    if not sys.stderr.isatty():
        typer.echo(f"… {title}", err=True)
        yield Shown(title)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Shown(title, (progress, progress.add_task(title)))
