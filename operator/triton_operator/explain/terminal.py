"""Print an explanation in a terminal: a heat map, weighted characters, or bars.

Input: Attributions. Output: text, with colors if requested, and otherwise with signed numbers. `Explanation.text` calls
it. Pure.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING

import numpy as np

from triton_operator.explain.names import RowKind
from triton_operator.explain.palette import (
    LOWERED,
    RAISED,
    Colour,
    columns_wide,
    footing,
    greys,
    headline,
    heat,
    pooled,
    ranked,
    shown,
    strengths,
    tint,
)
from triton_operator.explain.types import Floats

if TYPE_CHECKING:
    from triton_operator.explain.attributions import Attributions

_RESET = "\033[0m"
_NUMBER = 7
"""Width of a signed number and the space before it."""
_LEAST, _MOST = 0.1, 100.0
"""Between these bounds, two decimals are sufficient and fit the width."""
_ROWS = 20
"""Maximum number of table columns with a line of their own."""
_DARK: Colour = (24, 24, 24)
_INK: Colour = (200, 200, 200)


def render(explanation: Attributions, *, colour: bool, width: int) -> str:
    """Return all lines, with a newline at the end."""
    body = {RowKind.IMAGE: _image, RowKind.TEXT: _text, RowKind.TABLE: _table}[explanation.kind]
    lines = [*headline(explanation), "", *body(explanation, colour, width), "", *footing(explanation)]
    return "\n".join(lines) + "\n"


def _image(explanation: Attributions, colour: bool, width: int) -> list[str]:  # noqa: FBT001 - one of three alike.
    values = heat(explanation.attributions)
    if not colour:
        return _numbers(values, explanation.patch, width)
    side = ceil(values.shape[1] / width)
    ground = pooled(greys(explanation.row), side) / pooled(np.ones_like(values), side)
    return _half_blocks(strengths(pooled(values, side)), ground)


def _numbers(values: Floats, patch: int, width: int) -> list[str]:
    """Print sums over patches, or over squares that fit the width."""
    side = max(patch, ceil(values.shape[1] / max(1, width // _NUMBER)))
    sums = pooled(values, side)
    power = _power(float(np.abs(sums).max(initial=0.0)))
    lines = ["".join(f"{_signed(each / 10.0**power):>{_NUMBER}}" for each in row) for row in sums]
    unit = f", times 1e{power}" if power else ""
    return [*lines, f"each number: {side}x{side} pixels{unit}; a dot means close to 0"]


def _power(highest: float) -> int:
    """Return the power of ten to scale by, so that two decimals are meaningful and fit the width; or 0."""
    return 0 if not highest or _LEAST <= highest < _MOST else floor(log10(highest))


def _half_blocks(values: Floats, ground: Floats) -> list[str]:
    """Print two pixels per character: the upper one as foreground, the lower one as background color."""
    colours = [
        [tint(float(value), _mixed(float(light))) for value, light in zip(*row, strict=True)]
        for row in zip(values, ground, strict=True)
    ]
    if len(colours) % 2:
        colours.append([_DARK] * len(colours[0]))
    pairs = zip(colours[::2], colours[1::2], strict=True)
    return [
        "".join(f"{_front(up)}{_back(down)}▀" for up, down in zip(above, below, strict=True)) + _RESET
        for above, below in pairs
    ]


def _text(explanation: Attributions, colour: bool, width: int) -> list[str]:  # noqa: FBT001 - as above.
    weighted = [f"{shown(piece)}({value:+.2f})" for piece, value in _pieces(explanation)]
    lines = _wrapped(weighted, width)
    if not colour:
        return lines
    parts = strengths(explanation.attributions)
    painted = [
        f"{_back(tint(float(part), _DARK))}{_front((255, 255, 255))}{shown(piece)}{_RESET}" + " " * piece.endswith(" ")
        for piece, part in zip(explanation.pieces, parts, strict=True)
    ]
    return ["".join(painted), "", *lines]


def _pieces(explanation: Attributions) -> list[tuple[str, float]]:
    return list(zip(explanation.pieces, explanation.attributions.tolist(), strict=True))


def _wrapped(words: list[str], width: int) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and columns_wide(lines[-1]) + 1 + columns_wide(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _table(explanation: Attributions, colour: bool, width: int) -> list[str]:  # noqa: FBT001 - as above.
    rows = ranked(explanation)
    top, rest = rows[:_ROWS], rows[_ROWS:]
    wide = max(columns_wide(name) for name, _, _ in top)
    parts = strengths(np.array([share for _, _, share in top]))
    room = max(8, width - wide - 24)
    lines = [
        f"{name}{' ' * (wide - columns_wide(name))} {value:>10.4g} {share:>+10.4g}"
        + (f"  {_bar(float(part), room)}" if colour else "")
        for (name, value, share), part in zip(top, parts, strict=True)
    ]
    if rest:
        lines.append(f"… {len(rest)} more, together {sum(share for _, _, share in rest):+.4g}")
    return lines


def _bar(part: float, room: int) -> str:
    return f"{_front(RAISED if part > 0 else LOWERED)}{'█' * round(abs(part) * room)}{_RESET}"


def _signed(value: float) -> str:
    shown_value = f"{value:+.2f}"
    return "." if float(shown_value) == 0 else shown_value


def _mixed(light: float) -> Colour:
    red, green, blue = (round(low + (high - low) * light) for low, high in zip(_DARK, _INK, strict=True))
    return red, green, blue


def _front(colour: Colour) -> str:
    return "\033[38;2;{};{};{}m".format(*colour)


def _back(colour: Colour) -> str:
    return "\033[48;2;{};{};{}m".format(*colour)
