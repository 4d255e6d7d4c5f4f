"""Codecs between the values of a protobuf field and an attribute of the API.

A codec writes an attribute as the values of its field in a Message, and reads them back. `typed_config` builds the
configuration's tables from codecs, and `message_codecs` adds messages that look different in the API. Reading raises
ConfigError with the path (`input[0].dims`) for a value of another type and for a field that the API does not have.
Types are open (Any), because one table serves all structs; property tests check them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import msgspec

from triton_operator.api.struct import Struct
from triton_operator.triton.config.fields import refusal
from triton_operator.triton.text.checked_values import as_integer, as_message, as_text, join, shown, single
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value

_TRUTH: dict[str | int, bool] = {"true": True, "True": True, "t": True, 1: True}
_TRUTH |= {"false": False, "False": False, "f": False, 0: False}
"""All spellings that protobuf accepts."""


class Codec(Protocol):
    """Converts between an attribute and all values of its field."""

    def write(self, value: Any) -> list[Value]:
        """The field's values; not called for an attribute with its default."""

    def read(self, values: list[Value], path: str) -> Any:
        """The attribute; not called for a field without values. Raises a ConfigError that starts with `path`."""


class Text:
    """A string."""

    def write(self, value: str) -> list[Value]:
        """The string itself."""
        return [value]

    def read(self, values: list[Value], path: str) -> str:
        """A quoted string."""
        return as_text(single(values, path), path)


class Integer:
    """A whole number."""

    def write(self, value: int) -> list[Value]:
        """The number itself."""
        return [value]

    def read(self, values: list[Value], path: str) -> int:
        """A whole number."""
        return as_integer(single(values, path), path)


class Percent:
    """A fraction between 0 and 1 in Triton, and a whole percentage in the API, which has no fractional numbers."""

    def write(self, value: int) -> list[Value]:
        """The fraction."""
        return [value / 100]

    def read(self, values: list[Value], path: str) -> int:
        """The fraction as a whole percentage."""
        value = single(values, path)
        if not isinstance(value, int | float):
            raise ConfigError(f"{path}: must be a number, not {shown(value)}")
        percent = round(value * 100) if 0 <= value <= 1 else -1
        if abs(percent / 100 - value) > 1e-6:  # noqa: PLR2004 -- the precision of a 32-bit float
            raise ConfigError(f"{path}: must be between 0 and 1 with at most two decimals, such as 0.25, not {value}")
        return percent


class Boolean:
    """A truth value."""

    def write(self, value: bool) -> list[Value]:  # noqa: FBT001 -- the value to encode
        """The word for it."""
        return [Identifier("true" if value else "false")]

    def read(self, values: list[Value], path: str) -> bool:
        """A word, or 0 or 1."""
        value = single(values, path)
        if isinstance(value, Identifier | int) and value in _TRUTH:
            return _TRUTH[value]
        raise ConfigError(f"{path}: must be true or false, not {shown(value)}")


class Enumerated:
    """An enumeration whose words differ between Triton and the API."""

    def __init__(self, words: Mapping[str, StrEnum]) -> None:
        """Take the API's value by Triton's word."""
        self._values = dict(words)
        self._words = {value: word for word, value in words.items()}

    def write(self, value: StrEnum) -> list[Value]:
        """Triton's word."""
        return [Identifier(self._words[value])]

    def read(self, values: list[Value], path: str) -> StrEnum:
        """The API's value."""
        value = single(values, path)
        if not isinstance(value, Identifier) or value not in self._values:
            raise ConfigError(f"{path}: must be one of {', '.join(self._values)}, not {shown(value)}")
        return self._values[value]


class Repeated:
    """A repeated field; `item` converts each value."""

    def __init__(self, item: Codec) -> None:
        """Repeat `item`."""
        self._item = item

    def write(self, value: tuple[Any, ...]) -> list[Value]:
        """One value for each entry."""
        return [written for entry in value for written in self._item.write(entry)]

    def read(self, values: list[Value], path: str) -> tuple[Any, ...]:
        """One entry for each value."""
        return tuple(self._item.read([value], f"{path}[{index}]") for index, value in enumerate(values))


class Wrapped:
    """An attribute that is a message with one field in Triton; `absent` stands for a message without the field."""

    def __init__(self, message_type: str, field: str, codec: Codec, *, absent: Any) -> None:
        """Wrap `codec` into `field` of a message."""
        self._message_type, self._field, self._codec, self._absent = message_type, field, codec, absent

    def write(self, value: Any) -> list[Value]:
        """The message."""
        written = self._codec.write(value)
        return [{self._field: written} if written else {}]

    def read(self, values: list[Value], path: str) -> Any:
        """The content of the message."""
        message = as_message(single(values, path), path)
        refuse_others(message, {self._field}, self._message_type, path)
        inside = message.get(self._field)
        return self._codec.read(inside, f"{path}.{self._field}") if inside else self._absent


class Field(NamedTuple):
    """Triton's field for an attribute; `unset` is the field's value for an attribute that is None."""

    name: str
    codec: Codec
    unset: Value | None = None


class StructCodec:
    """The codec of a struct: a message with a field for each attribute."""

    def __init__(self, struct: type[Struct], message_type: str, fields: Mapping[str, Field]) -> None:
        """`fields` are by attribute; `message_type` is Triton's name of the message, for errors."""
        self._struct, self._message_type, self._fields = struct, message_type, dict(fields)
        self._attributes = {field.name: field for field in msgspec.structs.fields(struct)}

    def write(self, value: Any) -> list[Value]:
        """The message."""
        return [self.to_message(value)]

    def read(self, values: list[Value], path: str) -> Any:
        """The struct."""
        return self.from_message(as_message(single(values, path), path), path)

    def to_message(self, value: Any) -> Message:
        """The fields that differ from their defaults, in the order of the table."""
        message: Message = {}
        for attribute, field in self._fields.items():
            content = getattr(value, attribute)
            if content is None and field.unset is not None:
                message[field.name] = [field.unset]
            elif content != default_of(self._attributes[attribute]):
                message[field.name] = field.codec.write(content)
        return message

    def from_message(self, message: Message, path: str = "", *, besides: frozenset[str] = frozenset()) -> Any:
        """The struct; raises ConfigError for a field that is neither in the table nor in `besides`."""
        refuse_others(message, {field.name for field in self._fields.values()} | besides, self._message_type, path)
        found: dict[str, Any] = {}
        for attribute, field in self._fields.items():
            if values := message.get(field.name):
                if field.unset is None or values != [field.unset]:
                    found[attribute] = field.codec.read(values, join(path, field.name))
            elif self._attributes[attribute].required:
                raise ConfigError(f"{join(path, field.name)}: is missing")
        return self._struct(**found)


def default_of(attribute: msgspec.structs.FieldInfo) -> Any:
    """The default of an attribute, NODEFAULT for a required one."""
    return attribute.default_factory() if callable(attribute.default_factory) else attribute.default


def refuse_others(message: Message, known: set[str] | frozenset[str], message_type: str, path: str) -> None:
    """Raise ConfigError for the first field that is not `known`."""
    for name in message:
        if name not in known:
            raise refusal(join(path, name), message_type, name)
