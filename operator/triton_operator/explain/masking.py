"""What is taken away from a row at a time: patches of a picture, pieces of a text, columns of a table.

Input: a row and what stands for "not there". Output: rows with only some of their pieces. Called by the methods that
ask the model. Pure.
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
"""A picture is divided into 7x7 patches by default: 49 pieces, few enough for sampled Shapley values to be steady."""

_PIECE = re.compile(
    r"(?:[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # A Chinese character says as much as a word.
    r"|[^\W\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+(?:['\u2019]\w+)*"
    r"|.)\s*|\s+",
    re.DOTALL,
)


class Masking(Protocol):
    """A row in pieces."""

    @property
    def count(self) -> int:
        """How many pieces there are."""
        ...

    def rows(self, keep: Bools) -> Array:
        """One row for each of `keep` [n, count], in which the pieces that are not kept are the baseline's."""
        ...

    def differs(self) -> Bools:
        """Which pieces [count] are not the baseline's already; the others cannot have had a part in anything."""
        ...

    def spread(self, values: Floats) -> Floats:
        """One value per piece as attributions in the shape of the row, with the same sum."""
        ...


@dataclass(frozen=True)
class Columns:
    """Each number of a row is a piece; `baseline` has the shape of `row`."""

    row: Array
    baseline: Array

    @property
    def count(self) -> int:
        """Numbers in the row."""
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
    """Squares of `side` pixels over the last two dimensions; all channels of a pixel go together."""

    row: Array
    baseline: Array
    side: int

    @property
    def count(self) -> int:
        """Patches of the picture; those at the right and lower edge may be smaller."""
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
        """Evenly over the numbers of a patch: which of them it was has not been asked."""
        of_pixel = self._patch_of_pixel()
        numbers = np.bincount(of_pixel.reshape(-1), minlength=self.count) * (self.row.size // of_pixel.size)
        return np.broadcast_to((values / numbers)[of_pixel], self.row.shape).copy()

    def _patch_of_pixel(self) -> Array:
        high, wide = self.row.shape[-2:]
        _, across = grid(self.row, self.side)
        return (np.arange(high) // self.side)[:, None] * across + (np.arange(wide) // self.side)[None, :]


@dataclass(frozen=True)
class Pieces:
    """Characters of Chinese and words of other scripts; `blank` stands for a piece that is not there, "" removes it."""

    pieces: tuple[str, ...]
    blank: str

    @property
    def count(self) -> int:
        """Pieces of the text."""
        return len(self.pieces)

    def rows(self, keep: Bools) -> Array:
        """Texts [n]; what is left keeps its order."""
        texts = [
            "".join(piece if kept else self.blank for piece, kept in zip(self.pieces, one, strict=True)) for one in keep
        ]
        return np.array(texts, dtype=np.object_)

    def differs(self) -> Bools:
        """See Masking."""
        return np.array([piece != self.blank for piece in self.pieces])

    def spread(self, values: Floats) -> Floats:
        """One per piece as it is."""
        return values


def split_text(text: str) -> tuple[str, ...]:
    """Divide a text into its pieces, spaces with the piece before; joined they are the text again."""
    return tuple(_PIECE.findall(text))


def default_side(row: Array) -> int:
    """Pixels on the side of a patch for a picture of this size."""
    longest: int = max(row.shape[-2:])
    return max(1, ceil(longest / _PATCHES_ON_A_SIDE))


def grid(row: Array, side: int) -> tuple[int, int]:
    """How many patches are in a column and in a row."""
    high, wide = row.shape[-2:]
    if not 1 <= side <= max(high, wide):
        raise ExplanationError("patch", f"{side} pixels do not divide a picture of {wide}x{high}")
    return ceil(high / side), ceil(wide / side)
