"""Write protobuf text format without protobuf: the inverse of `parser.parse`.

Input: a Message. Output: text. There are no templates: every string is quoted and escaped, so that a user's string
cannot add fields. `resources` renders ConfigMaps with it, `prepare` writes config.pbtxt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.triton.text.parser import Identifier, Message, Value

_INDENT = "  "
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNREADABLE = re.compile(r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
"""Characters that would end a string, break a line in an editor, or be invisible."""


def write(message: Message) -> str:
    """Write a message, fields in the order of the mapping; `parse(write(m)) == m` for finite numbers.

    A field without values is written as `[]`: `reshape { shape: [] }` means a scalar. Raises ValueError for content
    that the format cannot represent: a field name or an Identifier that is not a word, a string that is not Unicode.
    """
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, values in message.items():
        yield from _field(_word(name), values)


def _field(name: str, values: list[Value]) -> Iterator[str]:
    """The scalars of one field share a line; each message is a block."""
    if not values:
        yield f"{name}: []"
    scalars: list[str] = []
    for value in values:
        if isinstance(value, dict):
            yield from _flush(name, scalars)
            yield from _block(name, value)
        else:
            scalars.append(_scalar(value))
    yield from _flush(name, scalars)


def _flush(name: str, scalars: list[str]) -> Iterator[str]:
    if scalars:
        yield f"{name}: {scalars[0]}" if len(scalars) == 1 else f"{name}: [{', '.join(scalars)}]"
        scalars.clear()


def _block(name: str, message: Message) -> Iterator[str]:
    inner = [_INDENT + line for line in _lines(message)]
    if inner:
        yield f"{name} {{"
        yield from inner
        yield "}"
    else:
        yield f"{name} {{}}"


def _scalar(value: str | float) -> str:
    if isinstance(value, Identifier):
        return _word(value)
    return _quoted(value) if isinstance(value, str) else repr(value)


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a valid word in a configuration")
    return str(text)


def _quoted(text: str) -> str:
    """UTF-8 is written unchanged; invisible characters are written as octal bytes, which have a fixed length."""
    return f'"{_UNREADABLE.sub(_escape, _unicode(text))}"'


def _unicode(text: str) -> str:
    text.encode()
    return text


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or "".join(f"\\{byte:03o}" for byte in char.encode())
