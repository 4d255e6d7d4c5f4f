"""Draw images of digits in a terminal. Used by the demo. Needs only numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_INK = 0.45
"""Threshold for ink, at which thin strokes stay connected and loops stay open."""

_HALF_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def draw(image: NDArray[np.float32], *, colour: bool = False) -> str:
    """Draw an image with two pixels per character, one above the other.

    `image` has the shape [height, width] or [1, height, width], with values 0 (paper) to 1 (ink). Without `colour`,
    the result contains only block characters and spaces. With it, it contains grey tones as ANSI escape sequences.
    """
    pixels = image.reshape(image.shape[-2:])
    if len(pixels) % 2:
        pixels = np.vstack([pixels, np.zeros_like(pixels[:1])])
    line = _grey_line if colour else _plain_line
    return "\n".join(line(upper, lower) for upper, lower in zip(pixels[::2], pixels[1::2], strict=True))


def _plain_line(upper: NDArray[np.float32], lower: NDArray[np.float32]) -> str:
    pairs = zip(upper >= _INK, lower >= _INK, strict=True)
    return "".join(_HALF_BLOCKS[bool(above), bool(below)] for above, below in pairs)


def _grey_line(upper: NDArray[np.float32], lower: NDArray[np.float32]) -> str:
    cells = (f"\x1b[38;5;{_grey(a)};48;5;{_grey(b)}m▀" for a, b in zip(upper, lower, strict=True))
    return "".join(cells) + "\x1b[0m"


def _grey(value: float) -> int:
    """Return the index of one of the 24 greys in the 256-colour palette (232 black to 255 white)."""
    return 232 + round(float(np.clip(value, 0, 1)) * 23)
