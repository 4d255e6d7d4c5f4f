"""JSON from the API server that is nested deeper than any decoder goes.

The API server stores 10,000 levels; Python's decoders give up at about 1,000 with a RecursionError, and at a whole list
or stream when one object in it is that deep. Such bytes are decoded once more with everything below LEVELS cut out, so
that only the object itself is unreadable. Whoever reads an object's content asks `is_cut` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

LEVELS = 64
"""Levels that are kept: in a list, an object and its metadata begin at the third."""

_CUT = b'"\\u0000 cut: nested too deeply"'
"""What takes the place of deeper content. Nobody has a reason to write a text that begins with a zero byte."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_OPENING = (b"{", b"[")
_CLOSING = (b"}", b"]")

T = TypeVar("T")


def decode_any_depth(decode: Callable[[bytes], T], data: bytes) -> T:
    """What `decode` makes of the data, or of as much of it as is not too deep."""
    try:
        return decode(data)
    except RecursionError:
        return decode(cut(data, LEVELS))


def is_cut(data: bytes) -> bool:
    """Whether something was left out of these bytes, or of an object that they are a part of."""
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
    """The same JSON with a text in the place of every object and list below so many levels. Linear, no recursion."""
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
