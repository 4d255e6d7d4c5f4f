"""One line of a log as it is printed. Pure."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"\[pod/(?P<pod>[^/\]]+)/(?P<container>[^\]]+)\] ?(?P<line>.*)", re.DOTALL)


def shown(line: str, name: str, *, several: bool) -> str:
    """A line of `kubectl logs --prefix` with a short prefix, or without one if there is only one container."""
    match = _PREFIX.fullmatch(line)
    if match is None:
        return line
    if not several:
        return match["line"]
    return f"{match['pod'].removeprefix(f'{name}-')} {match['container']} | {match['line']}"
