"""Protobuf text format, written without protobuf: the way back from `config_text.parse`.

Nested values go in, text leaves. Nothing is put together from templates: every string of a user is quoted and escaped,
so that none can end its quotes and add fields of its own. `resources` renders ConfigMaps with it, `prepare` writes
config.pbtxt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.triton.text.parser import Identifier, Message, Value

_INDENT = "  "
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNREADABLE = re.compile(r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
"""What would end a string, break a line in some editor, or not show: quotes, backslashes, control characters, marks."""


def write(message: Message) -> str:
    """Write a message, fields in the order of the mapping; `parse(write(m)) == m` for finite numbers.

    A field without values is written as `[]`, as its author did: `reshape { shape: [] }` stands for a scalar. Raises
    ValueError on what the format cannot hold: a field's name or an Identifier that is no word, a string that is not
    Unicode.
    """
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, values in message.items():
        yield from _field(_word(name), values)


def _field(name: str, values: list[Value]) -> Iterator[str]:
    """Scalars of one field share a line; each message is a block, in its place among them."""
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
        raise ValueError(f"{text!r} is no word of a configuration")
    return str(text)


def _quoted(text: str) -> str:
    """UTF-8 stands as it is; what cannot be seen is written by its bytes, in octal, which ends after three digits."""
    return f'"{_UNREADABLE.sub(_escape, _unicode(text))}"'


def _unicode(text: str) -> str:
    text.encode()
    return text


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or "".join(f"\\{byte:03o}" for byte in char.encode())
