"""Attributions as colors and numbers, for the terminal and for images. Pure.

Red is an increase of the prediction and blue a decrease, which people with any color blindness can distinguish best.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from triton_operator.api.text import escape
from triton_operator.explain.types import Array, Floats

if TYPE_CHECKING:
    from triton_operator.explain.attributions import Attributions

Colour = tuple[int, int, int]

RAISED: Colour = (214, 39, 40)
LOWERED: Colour = (31, 105, 190)


def strengths(values: Floats) -> Floats:
    """Scale values to the range from -1 to 1, by the largest absolute value."""
    highest = float(np.abs(values).max(initial=0.0))
    return values / (highest or 1.0)


def tint(strength: float, ground: Colour) -> Colour:
    """Blend the color of an attribution from -1 to 1 with the background color."""
    hue = RAISED if strength > 0 else LOWERED
    part = abs(strength)
    red, green, blue = (round(low * (1 - part) + high * part) for low, high in zip(ground, hue, strict=True))
    return red, green, blue


def greys(picture: Array) -> Floats:
    """Return the brightness [H, W] of an image [..., H, W], from 0 to 1, as the mean of its channels."""
    flat = picture.astype(np.float64).reshape(-1, *picture.shape[-2:]).mean(axis=0)
    low, high = float(flat.min()), float(flat.max())
    return (flat - low) / (high - low) if high > low else np.zeros_like(flat)


def heat(attributions: Floats) -> Floats:
    """Sum attributions [..., H, W] over all channels of a pixel, to [H, W]."""
    return np.asarray(attributions.reshape(-1, *attributions.shape[-2:]).sum(axis=0), dtype=np.float64)


def pooled(pixels: Floats, side: int) -> Floats:
    """Sum over squares of `side` pixels; those at the right and lower edges may be smaller."""
    rows = np.add.reduceat(pixels, np.arange(0, pixels.shape[0], side), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, pixels.shape[1], side), axis=1), dtype=np.float64)


def headline(explanation: Attributions) -> list[str]:
    """Return one or two lines: what was explained, and relative to which baseline."""
    of_what = f"{explanation.model or 'the model'}: " + (
        f"output {shown(explanation.target_name)} is {explanation.prediction:.4g}"
        if explanation.target_name
        else f"the prediction is {explanation.prediction:.4g}"
    )
    if explanation.base_value is None:
        return [f"{of_what}, by {explanation.method}"]
    return [
        f"{of_what}, by {explanation.method}",
        f"against {explanation.base_value:.4g} for the baseline ({explanation.baseline})",
    ]


def footing(explanation: Attributions) -> list[str]:
    """Return lines on the accuracy and the cost of the attributions."""
    lines = []
    if explanation.gap is not None and explanation.base_value is not None:
        change = explanation.prediction - explanation.base_value
        total = float(explanation.attributions.sum())
        lines.append(f"attributions add up to {total:+.4g} of {change:+.4g}, gap {explanation.gap:+.2g}")
    if explanation.error:
        lines.append(f"standard error of a piece {explanation.error:.2g}; more samples lower it")
    lines.append(f"{explanation.evaluations:,} evaluations in {explanation.seconds:.1f} s")
    return lines + [f"note: {shown(note)}" for note in explanation.notes]


def shown(text: str) -> str:
    """Return a piece or name without control characters and trailing spaces."""
    return escape(text.rstrip())


def columns_wide(text: str) -> int:
    """Return the width of a text in a terminal: two for a Chinese character, none for an accent."""
    wide = sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)
    return wide - sum(1 for each in text if unicodedata.combining(each))


def ranked(explanation: Attributions) -> list[tuple[str, float, float]]:
    """Return the columns of a row, the strongest first: name, value, attribution."""
    values = explanation.row.reshape(-1).tolist()
    shares = explanation.attributions.reshape(-1).tolist()
    names = explanation.pieces or tuple(_place(index, explanation.row) for index in np.ndindex(explanation.row.shape))
    rows = [(shown(name), float(value), share) for name, value, share in zip(names, values, shares, strict=True)]
    return sorted(rows, key=lambda row: -abs(row[2]))


def _place(index: tuple[int, ...], row: Array) -> str:
    return f"x{index[0]}" if row.ndim == 1 else f"x[{','.join(map(str, index))}]"
