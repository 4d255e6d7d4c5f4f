"""The result of every method: attributions, with the forms in which people see them.

Input: what a method found. Output: lines for a terminal, or a PNG file.
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
        """Lines for a terminal of `width` columns; without `colour` plain, with signed numbers."""
        return terminal.render(self, colour=colour, width=width)

    def save_png(self, path: Path | str, *, font: Path | str | None = None) -> None:
        """Draw it into a PNG file; needs pillow. `font` is a TrueType file for scripts that no font at hand has."""
        drawing.render(self, font=font).save(path, format="PNG")
