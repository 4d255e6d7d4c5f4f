"""The form of a text that recognizers search: of the same length, without variants of letters and punctuation."""

from __future__ import annotations

_FIRST_FULL_WIDTH = 0xFF01
_LAST_FULL_WIDTH = 0xFF5E
_TO_ASCII = 0xFEE0
_VARIANTS: dict[int, int | str] = {
    **{code: code - _TO_ASCII for code in range(_FIRST_FULL_WIDTH, _LAST_FULL_WIDTH + 1)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019"), "'"),
    **dict.fromkeys(map(ord, "\u2022\u30fb\u2027"), "\u00b7"),
}


def plain(text: str) -> str:
    """Replace full-width characters, special spaces, dashes and quotation marks with ASCII, one for one."""
    return text if text.isascii() else text.translate(_VARIANTS)
