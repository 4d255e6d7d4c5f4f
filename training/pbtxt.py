"""Write protobuf text, the language of Triton's config.pbtxt, from plain data.

A message is a mapping from field name to value; a list is a repeated field. Called by `model_config`. Pure.
Format: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

_INDENT = "  "

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Word(str):
    """The name of an enum value: written without quotes."""

    __slots__ = ()


Scalar: TypeAlias = "str | Word | bool | int | float"
Message: TypeAlias = "Mapping[str, Value]"
Value: TypeAlias = "Scalar | Message | Sequence[Scalar] | Sequence[Message]"


def to_text(message: Message) -> str:
    """Write a message, its fields in the order of the mapping, ending with a line break."""
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, value in message.items():
        yield from _field(name, value)


def _field(name: str, value: Value) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _block(name, value)
    elif isinstance(value, (str, bool, int, float)):
        yield f"{name}: {_scalar(value)}"
    else:
        yield from _repeated(name, value)


def _repeated(name: str, values: Sequence[Scalar] | Sequence[Message]) -> Iterator[str]:
    """Write messages as one block each and scalars as one list."""
    scalars: list[str] = []
    for value in values:
        if isinstance(value, Mapping):
            yield from _block(name, value)
        else:
            scalars.append(_scalar(value))
    if scalars:
        yield f"{name}: [{', '.join(scalars)}]"


def _block(name: str, message: Message) -> Iterator[str]:
    inner = [_INDENT + line for line in _lines(message)]
    if not inner:
        yield f"{name} {{}}"
        return
    yield f"{name} {{"
    yield from inner
    yield "}"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not isinstance(value, Word):
        return f'"{"".join(_character(each) for each in value)}"'
    return str(value)


def _character(each: str) -> str:
    """Escape what a quoted string cannot hold; all other characters, Chinese ones too, stand as they are."""
    if each in _ESCAPES:
        return _ESCAPES[each]
    return each if each.isprintable() or ord(each) > ord("~") + 1 else f"\\x{ord(each):02x}"
