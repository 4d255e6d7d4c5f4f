"""Docstrings of the blocking client, taken from the asynchronous one.

Pure. Input: a class or method of `AsyncClient`, whose docstring has the full text. Output: a decorator that gives
`Client`'s counterpart the same text, with the example in blocking form. So `help()` documents both from one source.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BLOCKING_FORMS = {
    "await ": "",
    "async with ": "with ",
    "async for ": "for ",
    "AsyncClient": "Client",
    "The tasks of the event loop that opened it can share it.": "Threads can share it.",
}


def documented_by(source: object) -> Callable[[T], T]:
    """Decorate a class or function with the docstring of its asynchronous counterpart `source`."""

    def decorate(target: T) -> T:
        target.__doc__ = blocking_form(inspect.getdoc(source) or "")
        return target

    return decorate


def blocking_form(text: str) -> str:
    """Return a docstring of `AsyncClient` as it reads for `Client`."""
    for asynchronous, blocking in _BLOCKING_FORMS.items():
        text = text.replace(asynchronous, blocking)
    return text
