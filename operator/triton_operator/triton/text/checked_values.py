"""Strict readers of a Message: a value of another type raises ConfigError.

Use them for configurations that a user wrote; `values` reads messages that have been checked already. Input: the
values of a field and the path that errors name. Output: Python values.
"""

from __future__ import annotations

from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value

_SHOWN_CHARACTERS = 60


def single(values: list[Value], path: str) -> Value:
    """The only value of a field that does not repeat."""
    if len(values) != 1:
        raise ConfigError(f"{path}: is set {len(values)} times")
    return values[0]


def as_text(value: Value, path: str) -> str:
    """A string in quotes."""
    if not isinstance(value, str) or isinstance(value, Identifier):
        raise ConfigError(f"{path}: must be a string in quotes, not {shown(value)}")
    return value


def as_integer(value: Value, path: str) -> int:
    """A whole number."""
    if not isinstance(value, int):
        raise ConfigError(f"{path}: must be a whole number, not {shown(value)}")
    return value


def as_message(value: Value, path: str) -> Message:
    """A nested message."""
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a message in braces, not {shown(value)}")
    return value


def optional_text(message: Message, field: str) -> str:
    """The string in a field, "" if the field is absent."""
    values = message.get(field)
    return as_text(single(values, field), field) if values else ""


def optional_integer(message: Message, field: str) -> int:
    """The whole number in a field, 0 if the field is absent."""
    values = message.get(field)
    return as_integer(single(values, field), field) if values else 0


def optional_message(message: Message, field: str) -> Message:
    """The message in a field, an empty one if the field is absent."""
    values = message.get(field)
    return as_message(single(values, field), field) if values else {}


def join(path: str, field: str) -> str:
    """The path of a field below `path`."""
    return f"{path}.{field}" if path else field


def shown(value: Value) -> str:
    """Format a value for an error message."""
    if isinstance(value, dict):
        return "a message"
    return str(value) if isinstance(value, Identifier) else repr(value)[:_SHOWN_CHARACTERS]
