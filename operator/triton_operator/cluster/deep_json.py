"""Decodes JSON from the API server that is nested deeper than the decoders support.

The API server stores 10,000 levels. Python's decoders raise RecursionError at about 1,000, for a whole list or stream
if one object in it is that deep. Such bytes are decoded again without everything below LEVELS, so that only that object
is unreadable. Code that reads the content of an object checks `is_cut` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

LEVELS = 64
"""Levels that are kept; in a list, the metadata of an object is at the third."""

_CUT = b'"\\u0000 cut: nested too deeply"'
"""Replaces deeper content; no real text begins with a zero byte."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_OPENING = (b"{", b"[")
_CLOSING = (b"}", b"]")

T = TypeVar("T")


def decode_any_depth(decode: Callable[[bytes], T], data: bytes) -> T:
    """The result of `decode` for the data, without what is nested too deeply."""
    try:
        return decode(data)
    except RecursionError:
        return decode(cut(data, LEVELS))


def is_cut(data: bytes) -> bool:
    """Whether something was cut out of these bytes."""
    return _CUT in data


def is_deeper(data: bytes, levels: int) -> bool:
    """Whether objects and lists are nested deeper than this."""
    if data.count(b"{") + data.count(b"[") <= levels:
        return False
    depth = 0
    for token in _TOKEN.finditer(data):
        if (mark := token[0]) in _OPENING:
            depth += 1
            if depth > levels:
                return True
        elif mark in _CLOSING:
            depth -= 1
    return False


def cut(data: bytes, levels: int) -> bytes:
    """The JSON with a text instead of every object and list below `levels`. Linear, without recursion."""
    kept, depth, copied = [], 0, 0
    for token in _TOKEN.finditer(data):
        if (mark := token[0]) in _OPENING:
            depth += 1
            if depth == levels + 1:
                kept += [data[copied : token.start()], _CUT]
        elif mark in _CLOSING:
            if depth == levels + 1:
                copied = token.end()
            depth -= 1
    return b"".join([*kept, data[copied:]])
