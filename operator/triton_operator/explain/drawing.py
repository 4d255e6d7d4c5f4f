"""Draw an explanation as an image: a heat map next to the input, weighted characters, or bars. Requires Pillow.

Input: Attributions. Output: a PIL image. `Explanation.save_png` calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.fonts import Fonts
from triton_operator.explain.names import RowKind
from triton_operator.explain.palette import (
    LOWERED,
    RAISED,
    Colour,
    footing,
    greys,
    headline,
    heat,
    ranked,
    shown,
    strengths,
    tint,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from triton_operator.explain.attributions import Attributions

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (20, 20, 20)
_MARGIN = 16
_SIDE = 336
"""Size to which an image is enlarged, in pixels: twelve for each pixel of a 28x28 digit."""
_LINE = 20
_SMALL, _LARGE = 13, 28
_BARS = 30


def render(explanation: Attributions, *, font: Path | str | None = None) -> Image:
    """Draw the explanation with its headline and footer; raises ExplanationError without Pillow."""
    try:
        from PIL import Image, ImageDraw
    except ModuleNotFoundError as error:
        raise ExplanationError("png", f"drawing needs {error.name}: pip install '.[cli]'") from error
    body = {RowKind.IMAGE: _image, RowKind.TEXT: _text, RowKind.TABLE: _table}[explanation.kind](explanation, font)
    above, below = headline(explanation), footing(explanation)
    fonts = Fonts(_SMALL, font)
    wide = max(body.width, *(_wide(fonts, line) for line in above + below)) + 2 * _MARGIN
    high = body.height + _LINE * (len(above) + len(below) + 2)
    sheet = Image.new("RGB", (wide, high), _WHITE)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(above):
        _write(draw, (_MARGIN, _LINE // 2 + number * _LINE), line, fonts)
    top = _LINE * (len(above) + 1)
    sheet.paste(body, (_MARGIN, top))
    for number, line in enumerate(below):
        _write(draw, (_MARGIN, top + body.height + _LINE // 2 + number * _LINE), line, fonts)
    return sheet


def _image(explanation: Attributions, font: Path | str | None) -> Image:
    """Draw the input, and the input overlaid with the attributions."""
    from PIL import Image

    del font
    light = greys(explanation.row)
    parts = strengths(heat(explanation.attributions))
    factor = max(1, _SIDE // max(light.shape))
    seen = np.repeat((light * 255).astype(np.uint8)[..., None], 3, axis=2)
    ground = (255 - light * 110)[..., None]
    hue = np.where(parts[..., None] > 0, np.array(RAISED), np.array(LOWERED))
    part = np.abs(parts)[..., None]
    mapped = np.clip(ground * (1 - part) + hue * part, 0, 255).astype(np.uint8)
    size = (light.shape[1] * factor, light.shape[0] * factor)
    sheet = Image.new("RGB", (2 * size[0] + _MARGIN, size[1]), _WHITE)
    for number, pixels in enumerate((seen, mapped)):
        enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
        sheet.paste(enlarged, (number * (size[0] + _MARGIN), 0))
    return sheet


def _text(explanation: Attributions, font: Path | str | None) -> Image:
    """Draw each piece on its color, with its attribution below."""
    from PIL import Image, ImageDraw

    large, small = Fonts(_LARGE, font), Fonts(_SMALL)
    written = [large.write(shown(piece) or "␣") for piece in explanation.pieces]
    labels = [f"{value:+.2f}" for value in explanation.attributions.tolist()]
    parts = strengths(explanation.attributions)
    high = _LARGE + _LINE + 14
    places: list[tuple[int, int, int]] = []
    x = y = 0
    for (text, face), label in zip(written, labels, strict=True):
        wide = int(max(face.getlength(text), _wide(small, label))) + 10
        if x and x + wide > 2 * _SIDE:
            x, y = 0, y + high
        places.append((x, y, wide))
        x += wide + 2
    sheet = Image.new("RGB", (max(left + wide for left, _, wide in places), y + high), _WHITE)
    draw = ImageDraw.Draw(sheet)
    for (text, face), label, part, (left, top, wide) in zip(written, labels, parts, places, strict=True):
        draw.rectangle((left, top, left + wide, top + _LARGE + 10), fill=tint(float(part) * 0.8, _WHITE))
        draw.text((left + 5, top + 2), text, fill=_BLACK, font=face)
        draw.text((left + 5, top + _LARGE + 13), label, fill=_BLACK, font=small.latin)
    return sheet


def _table(explanation: Attributions, font: Path | str | None) -> Image:
    """Draw a bar for each of the strongest columns, to the right if it increased the prediction."""
    from PIL import Image, ImageDraw

    fonts = Fonts(_SMALL, font)
    rows = ranked(explanation)[:_BARS]
    parts = strengths(np.array([share for _, _, share in rows]))
    names = [f"{name} = {value:.4g}" for name, value, _ in rows]
    left = max(_wide(fonts, name) for name in names) + _MARGIN
    middle = left + _SIDE // 2
    sheet = Image.new("RGB", (left + _SIDE + 80, _LINE * len(rows)), _WHITE)
    draw = ImageDraw.Draw(sheet)
    for number, (name, (_, _, share), part) in enumerate(zip(names, rows, parts, strict=True)):
        y = number * _LINE
        _write(draw, (0, y), name, fonts)
        end = middle + round(float(part) * _SIDE / 2)
        draw.rectangle((min(middle, end), y + 3, max(middle, end), y + _LINE - 4), fill=RAISED if part > 0 else LOWERED)
        _write(draw, (left + _SIDE + 10, y), f"{share:+.4g}", fonts)
    draw.line((middle, 0, middle, sheet.height), fill=_BLACK)
    return sheet


def _write(draw: object, place: tuple[int, int], line: str, fonts: Fonts) -> None:
    text, face = fonts.write(line)
    draw.text(place, text, fill=_BLACK, font=face)  # type: ignore[attr-defined]


def _wide(fonts: Fonts, line: str) -> int:
    text, face = fonts.write(line)
    return int(face.getlength(text)) + 1
