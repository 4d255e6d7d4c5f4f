"""Progress of a start: the caller decides where it is printed.

`local` opens a step by its title and notes in it how far it is; the command line shows that to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Step(Protocol):
    """A running step."""

    def note(self, detail: str) -> None:
        """Say in a few words how far it is."""


Tell = Callable[[str], AbstractContextManager[Step]]
"""Begins a step of this title; the step ends with the block, well or by an exception."""
