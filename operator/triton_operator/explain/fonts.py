"""Find a font that has the required characters; requires Pillow.

Input: characters, and optionally a font file. Output: a font, or None if no installed font has them. Pillow includes a
font for Latin letters; for others, the usual font folders are searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.explain.errors import ExplanationError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
_NAMES = (
    "NotoSansCJK",
    "NotoSansSC",
    "SourceHanSans",
    "wqy-",
    "DroidSansFallback",
    "PingFang",
    "STHeiti",
    "msyh",
    "simhei",
)
_NOT_A_CHARACTER = "\uffff"
"""A font draws this code point like every character that it does not have."""


class Fonts:
    """The available fonts in one size; `preferred` is tried first."""

    def __init__(self, size: int, preferred: Path | str | None = None) -> None:
        from PIL import ImageFont

        self.size = size
        self.latin: FreeTypeFont | BitmapFont = ImageFont.load_default(size)
        self._preferred = _open(Path(preferred), size) if preferred else None

    def holding(self, text: str) -> FreeTypeFont | BitmapFont | None:
        """Return the first font that has every character of `text`."""
        if self._preferred and _has(self._preferred, text):
            return self._preferred
        if _has(self.latin, text):
            return self.latin
        return next((font for font in _wide_fonts(self.size) if _has(font, text)), None)

    def write(self, text: str) -> tuple[str, FreeTypeFont | BitmapFont]:
        """Return the text with a font that has it, or else the code points of its characters."""
        font = self.holding(text)
        return (text, font) if font else (" ".join(f"U+{ord(each):04X}" for each in text), self.latin)


@cache
def _wide_fonts(size: int) -> tuple[FreeTypeFont, ...]:
    """Return installed fonts whose file names indicate Chinese characters; unreadable files are skipped."""
    fonts = []
    for path in sorted(_found()):
        with suppress(ExplanationError):
            fonts.append(_open(path, size))
    return tuple(fonts)


def _found() -> Iterator[Path]:
    for folder in _FOLDERS:
        place = Path(folder).expanduser()
        if place.is_dir():
            yield from (path for path in place.rglob("*.*t[fc]*") if path.name.startswith(_NAMES))


def _open(path: Path, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise ExplanationError("font", f"{path} cannot be read as a font: {error}") from error


def _has(font: FreeTypeFont | BitmapFont, text: str) -> bool:
    missing = bytes(font.getmask(_NOT_A_CHARACTER))
    return all(each.isspace() or bytes(font.getmask(each)) != missing for each in text)
