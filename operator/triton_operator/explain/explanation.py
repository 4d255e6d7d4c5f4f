"""The result of every method: attributions that can be printed and drawn.

Input: the attributions. Output: lines for a terminal, or a PNG file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triton_operator.explain import drawing, terminal
from triton_operator.explain.attributions import Attributions


@dataclass(frozen=True)
class Explanation(Attributions):
    """Attributions of one prediction that can be printed and drawn."""

    def text(self, *, colour: bool = False, width: int = 80) -> str:
        """Return lines for a terminal of `width` columns; without `colour`, as signed numbers."""
        return terminal.render(self, colour=colour, width=width)

    def save_png(self, path: Path | str, *, font: Path | str | None = None) -> None:
        """Write a PNG file; requires Pillow. `font` is a TrueType file for scripts without an installed font."""
        drawing.render(self, font=font).save(path, format="PNG")
