"""Divide a row into pieces that can be masked: patches of an image, pieces of a text, columns of a table.

Input: a row and its baseline. Output: rows in which only some of the pieces are kept. The methods that run the model
call it. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.types import Array, Bools, Floats

_PATCHES_ON_A_SIDE = 7
"""An image is divided into 7x7 patches by default: 49 pieces, few enough for stable sampled Shapley values."""

_PIECE = re.compile(
    r"(?:[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # A Chinese character is comparable to a word.
    r"|[^\W\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+(?:['\u2019]\w+)*"
    r"|.)\s*|\s+",
    re.DOTALL,
)


class Masking(Protocol):
    """A row divided into pieces."""

    @property
    def count(self) -> int:
        """The number of pieces."""
        ...

    def rows(self, keep: Bools) -> Array:
        """Return a row for each mask in `keep` [n, count]; pieces that are not kept have the baseline's values."""
        ...

    def differs(self) -> Bools:
        """Return which pieces [count] differ from the baseline; the others have no effect."""
        ...

    def spread(self, values: Floats) -> Floats:
        """Return attributions in the shape of the row from one value per piece, with the same sum."""
        ...


@dataclass(frozen=True)
class Columns:
    """Each value of a row is a piece; `baseline` has the shape of `row`."""

    row: Array
    baseline: Array

    @property
    def count(self) -> int:
        """The number of values in the row."""
        return int(self.row.size)

    def rows(self, keep: Bools) -> Array:
        """See Masking."""
        return np.where(keep.reshape(-1, *self.row.shape), self.row, self.baseline)

    def differs(self) -> Bools:
        """See Masking."""
        return np.asarray(self.row != self.baseline).reshape(-1)

    def spread(self, values: Floats) -> Floats:
        """See Masking."""
        return values.reshape(self.row.shape)


@dataclass(frozen=True)
class Patches:
    """Squares of `side` pixels in the last two dimensions; all channels of a pixel belong together."""

    row: Array
    baseline: Array
    side: int

    @property
    def count(self) -> int:
        """The number of patches; those at the right and lower edges may be smaller."""
        down, across = grid(self.row, self.side)
        return down * across

    def rows(self, keep: Bools) -> Array:
        """See Masking."""
        pixels = keep[:, self._patch_of_pixel()]
        leading = (1,) * (self.row.ndim - pixels.ndim + 1)
        return np.where(pixels.reshape(len(keep), *leading, *pixels.shape[1:]), self.row, self.baseline)

    def differs(self) -> Bools:
        """See Masking."""
        of_pixel = np.broadcast_to(self._patch_of_pixel(), self.row.shape)
        return np.bincount(of_pixel[self.row != self.baseline], minlength=self.count) > 0

    def spread(self, values: Floats) -> Floats:
        """Distribute each value evenly over its patch, because values within a patch were not distinguished."""
        of_pixel = self._patch_of_pixel()
        numbers = np.bincount(of_pixel.reshape(-1), minlength=self.count) * (self.row.size // of_pixel.size)
        return np.broadcast_to((values / numbers)[of_pixel], self.row.shape).copy()

    def _patch_of_pixel(self) -> Array:
        high, wide = self.row.shape[-2:]
        _, across = grid(self.row, self.side)
        return (np.arange(high) // self.side)[:, None] * across + (np.arange(wide) // self.side)[None, :]


@dataclass(frozen=True)
class Pieces:
    """Chinese characters, and words of other scripts; `blank` replaces a masked piece, and "" removes it."""

    pieces: tuple[str, ...]
    blank: str

    @property
    def count(self) -> int:
        """The number of pieces."""
        return len(self.pieces)

    def rows(self, keep: Bools) -> Array:
        """Return texts [n]; the pieces that are kept keep their order."""
        texts = [
            "".join(piece if kept else self.blank for piece, kept in zip(self.pieces, one, strict=True)) for one in keep
        ]
        return np.array(texts, dtype=np.object_)

    def differs(self) -> Bools:
        """See Masking."""
        return np.array([piece != self.blank for piece in self.pieces])

    def spread(self, values: Floats) -> Floats:
        """Return the values, one per piece."""
        return values


def split_text(text: str) -> tuple[str, ...]:
    """Split a text into pieces, which include trailing spaces; joined, they equal the text."""
    return tuple(_PIECE.findall(text))


def default_side(row: Array) -> int:
    """Return the default side of a patch in pixels for an image of this size."""
    longest: int = max(row.shape[-2:])
    return max(1, ceil(longest / _PATCHES_ON_A_SIDE))


def grid(row: Array, side: int) -> tuple[int, int]:
    """Return the number of patches in vertical and horizontal direction."""
    high, wide = row.shape[-2:]
    if not 1 <= side <= max(high, wide):
        raise ExplanationError("patch", f"{side} pixels do not divide an image of {wide}x{high}")
    return ceil(high / side), ceil(wide / side)
