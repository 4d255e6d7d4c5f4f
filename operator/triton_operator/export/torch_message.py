"""What torch says of a module that it cannot compile or run, without the trace around it. Pure."""

from __future__ import annotations

import re

_LONGEST = 500
"""Characters; torch may list every variant of an operator."""

_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+)')
_INSIDE = "code/"
"""Begins the names of files in an archive, which nobody wrote."""

_END_OF_CODE = "<--- HERE"
_SAYS_NOTHING = re.compile(
    r"[\s~<>.^|\-]*|Traceback.*|The (above|following) operation failed.*|The following variants are available:.*"
    r"|The original call is:|The following call raised this error:|The error above occurred.*|from user code:?"
    r"|.* is being compiled since it was called from .*|For (more|extended|C\+\+) .*|If you suspect .*|Set TORCH.*"
)
_BEFORE_THE_CAUSE = re.compile(r"(RuntimeError|torch\.jit\.Error): ")


def sentence(error: Exception) -> str:
    """Torch's cause in one line, and the place in the user's file that it names first."""
    kept, place = _without_code(str(error).splitlines())
    text = " ".join(" ".join(kept).split()).rstrip(" :") or type(error).__name__
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return f"{text} ({place})" if place else text


def _without_code(lines: list[str]) -> tuple[list[str], str]:
    """Lines around the quoted code, and the first location."""
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
    """Quoted code ends with torch's mark and the indented lines after it, or where lines are no longer indented."""
    for at in range(start, len(lines)):
        if _FRAME.match(lines[at]):
            break
        if _END_OF_CODE in lines[at]:
            start = at + 1
            break
    return next((at for at in range(start, len(lines)) if _FRAME.match(lines[at]) or lines[at][:1] != " "), len(lines))
