"""Reduce an error of torch about a module to its cause, without the traceback. Pure."""

from __future__ import annotations

import re

_LONGEST = 500
"""Maximum number of characters; torch may list every variant of an operator."""

_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+)')
_INSIDE = "code/"
"""Prefix of file names in an archive, which are not the user's files."""

_END_OF_CODE = "<--- HERE"
_SAYS_NOTHING = re.compile(
    r"[\s~<>.^|\-]*|Traceback.*|The (above|following) operation failed.*|The following variants are available:.*"
    r"|The original call is:|The following call raised this error:|The error above occurred.*|from user code:?"
    r"|.* is being compiled since it was called from .*|For (more|extended|C\+\+) .*|If you suspect .*|Set TORCH.*"
)
_BEFORE_THE_CAUSE = re.compile(r"(RuntimeError|torch\.jit\.Error): ")


def sentence(error: Exception) -> str:
    """Return the cause in one line, with the first location in the user's file."""
    kept, place = _without_code(str(error).splitlines())
    text = " ".join(" ".join(kept).split()).rstrip(" :") or type(error).__name__
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return f"{text} ({place})" if place else text


def _without_code(lines: list[str]) -> tuple[list[str], str]:
    """Return the lines without quoted code, and the first location."""
    kept: list[str] = []
    place = ""
    at = 0
    while at < len(lines):
        frame = _FRAME.match(lines[at])
        if frame:
            if not frame["file"].startswith(_INSIDE):
                place = place or f"{frame['file'].rpartition('/')[2]}, line {frame['line']}"
            at = _end_of_code(lines, at + 1)
            continue
        line = lines[at].strip()
        if not _SAYS_NOTHING.fullmatch(line):
            kept.append(_BEFORE_THE_CAUSE.sub("", line))
        at += 1
    return kept, place


def _end_of_code(lines: list[str], start: int) -> int:
    """Return the end of quoted code: torch's marker and its indented lines, or the first line without indentation."""
    for at in range(start, len(lines)):
        if _FRAME.match(lines[at]):
            break
        if _END_OF_CODE in lines[at]:
            start = at + 1
            break
    return next((at for at in range(start, len(lines)) if _FRAME.match(lines[at]) or lines[at][:1] != " "), len(lines))
