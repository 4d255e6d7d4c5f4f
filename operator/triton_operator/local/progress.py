"""The interface for progress reports: the caller of `local` decides how to display them.

`local` opens a step with a title, and may add details to it. The command line displays both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Step(Protocol):
    """A running step."""

    def note(self, detail: str) -> None:
        """Display the progress of the step in a few words."""


ReportStep = Callable[[str], AbstractContextManager[Step]]
"""Starts a step with this title; the step ends with the block, and has failed if the block raises."""
