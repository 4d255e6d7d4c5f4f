"""Escape control characters in untrusted text before it is printed or stored.

File names, archive members, logs and messages of other programs may contain escape sequences, line breaks that forge
additional lines, or bidirectional controls that reverse the displayed text (CVE-2021-42574). Pure.
"""

from __future__ import annotations

import re
import unicodedata

_FURTHER_LINE = re.compile(r"\n(?!  +(?!::|##\[)\S)")
"""A line break before a line that is not indented, or before a line that a CI system would read as a command."""


def escape(text: str) -> str:
    r"""The text on one line, with each unprintable character replaced by Python's escape: `\x1b`, `\u202e`.

    Control and format characters, lone surrogates, unassigned characters, and line and paragraph separators are
    unprintable; spaces of any width are printable. Idempotent, because backslashes are not escaped.
    """
    return text if text.isprintable() else "".join(map(_escape_character, text))


def escape_lines(text: str) -> str:
    """Like `escape`, but keep line breaks before indented lines, because the operator's messages use them for lists."""
    if text.isprintable():
        return text
    lines = _FURTHER_LINE.sub("\\\\n", text).split("\n")
    return "\n".join(map(escape, lines))


def _escape_character(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
