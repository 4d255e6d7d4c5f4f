"""Escape control characters in untrusted text before it is printed or stored.

File names, archive members, logs and messages of other programs may contain escape sequences, line breaks that forge
additional lines, bidirectional controls that reverse the displayed text (CVE-2021-42574), or commands for a CI system,
which reads them in the log of a job. Pure.
"""

from __future__ import annotations

import re
import unicodedata

_FURTHER_LINE = re.compile(r"\n(?!  +\S)")
"""A line break before a line that is not indented."""

_COMMAND = re.compile(r"^\s*::(?=[A-Za-z-]+(?: .*)?::)|##(?=[a-z]*\[)")
"""A command of GitHub Actions at the start of a line (`::error::`), or of it or Azure Pipelines anywhere in a line
(`##[error]`, `##vso[task.setvariable]`)."""


def escape(text: str) -> str:
    r"""The text on one line, with each unprintable character replaced by Python's escape: `\x1b`, `\u202e`.

    Control and format characters, lone surrogates, unassigned characters, and line and paragraph separators are
    unprintable; spaces of any width are printable. In a command of a CI system, one character is escaped as well.
    Idempotent, because backslashes are not escaped.
    """
    return escape_commands(text if text.isprintable() else "".join(map(_escape_character, text)))


def escape_commands(line: str) -> str:
    r"""The line without commands of CI systems: `:\x3aerror::`, `#\x23[error]`."""
    return _COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):x}", line)


def escape_lines(text: str) -> str:
    """Like `escape`, but keep line breaks before indented lines, because the operator's messages use them for lists."""
    lines = _FURTHER_LINE.sub("\\\\n", text).split("\n")
    return "\n".join(map(escape, lines))


def _escape_character(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
