"""Attributions as colours and numbers, the same in the terminal and in pictures. Pure.

Red raised the prediction, blue lowered it: the two that people with any colour blindness tell apart best.
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
    """From -1 to 1, the strongest attribution at one end."""
    highest = float(np.abs(values).max(initial=0.0))
    return values / (highest or 1.0)


def tint(strength: float, ground: Colour) -> Colour:
    """The colour of an attribution from -1 to 1, over that of what lies below."""
    hue = RAISED if strength > 0 else LOWERED
    part = abs(strength)
    red, green, blue = (round(low * (1 - part) + high * part) for low, high in zip(ground, hue, strict=True))
    return red, green, blue


def greys(picture: Array) -> Floats:
    """The picture [..., H, W] as brightness [H, W] from 0 to 1, channels together."""
    flat = picture.astype(np.float64).reshape(-1, *picture.shape[-2:]).mean(axis=0)
    low, high = float(flat.min()), float(flat.max())
    return (flat - low) / (high - low) if high > low else np.zeros_like(flat)


def heat(attributions: Floats) -> Floats:
    """Attributions [..., H, W] of all channels of a pixel together, [H, W]."""
    return np.asarray(attributions.reshape(-1, *attributions.shape[-2:]).sum(axis=0), dtype=np.float64)


def pooled(pixels: Floats, side: int) -> Floats:
    """Sums over squares of `side` pixels; those at the right and lower edge may be smaller."""
    rows = np.add.reduceat(pixels, np.arange(0, pixels.shape[0], side), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, pixels.shape[1], side), axis=1), dtype=np.float64)


def headline(explanation: Attributions) -> list[str]:
    """What was explained, and against what: one or two sentences."""
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
    """How far the numbers can be trusted, and what they cost."""
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
    """A piece or name without what would steer a terminal, and without spaces at its end."""
    return escape(text.rstrip())


def columns_wide(text: str) -> int:
    """Places that a text takes in a terminal: two for a Chinese character, none for an accent."""
    wide = sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)
    return wide - sum(1 for each in text if unicodedata.combining(each))


def ranked(explanation: Attributions) -> list[tuple[str, float, float]]:
    """The columns of a row by their part in the prediction: name, value, attribution."""
    values = explanation.row.reshape(-1).tolist()
    shares = explanation.attributions.reshape(-1).tolist()
    names = explanation.pieces or tuple(_place(index, explanation.row) for index in np.ndindex(explanation.row.shape))
    rows = [(shown(name), float(value), share) for name, value, share in zip(names, values, shares, strict=True)]
    return sorted(rows, key=lambda row: -abs(row[2]))


def _place(index: tuple[int, ...], row: Array) -> str:
    return f"x{index[0]}" if row.ndim == 1 else f"x[{','.join(map(str, index))}]"
