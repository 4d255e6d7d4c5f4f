"""Escape untrusted text for printing and storing: control characters become visible escapes.

Names of files, members of archives, logs and messages of other programs may hold escape sequences, line breaks that
forge further lines, or bidirectional controls that reverse what a person reads (CVE-2021-42574). Pure.
"""

from __future__ import annotations

import re
import unicodedata

_FURTHER_LINE = re.compile(r"\n(?!  +(?!::|##\[)\S)")
"""A line break that the composer of a message did not indent, or in front of a command of a CI system's log reader."""


def escape(text: str) -> str:
    r"""The text in one line, every character that cannot be printed written as Python writes it: `\x1b`, `\u202e`.

    Not printable are control and format characters, lone surrogates, unassigned characters, and breaks of lines and
    paragraphs; spaces of every width are. Idempotent, as a backslash stays what it is.
    """
    return text if text.isprintable() else "".join(map(_escape_character, text))


def escape_lines(text: str) -> str:
    """As `escape`, but a line break stays where the next line is indented: that is how our own messages list things."""
    if text.isprintable():
        return text
    lines = _FURTHER_LINE.sub("\\\\n", text).split("\n")
    return "\n".join(map(escape, lines))


def _escape_character(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
