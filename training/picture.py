"""Pictures of digits for a terminal; used by the demo. Plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_INK = 0.45
"""From this darkness on a pixel counts as ink: thin strokes stay closed, loops stay open."""

_HALF_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def draw(image: NDArray[np.float32], *, colour: bool = False) -> str:
    """Draw a picture with two pixels per character, one above the other.

    `image` has the shape [height, width] or [1, height, width], values 0 (paper) to 1 (ink). Without `colour` the
    lines hold only block characters and spaces; with it they hold grey tones as ANSI escapes: for terminals only.
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
    """Return the number of a grey among the 24 of the 256-colour palette (232 black to 255 white)."""
    return 232 + round(float(np.clip(value, 0, 1)) * 23)
