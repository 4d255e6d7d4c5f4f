"""Codecs for messages that the API represents differently: maps, tensors' types and sizes, and rearranged messages.

Triton's protobuf has one field for each kind of content, and the field that is set decides. The API has one field that
names the kind. `Rearranged` converts between the two before a StructCodec reads the message and after it writes one.
`warmup_codec`, `sequence_codecs` and `typed_config` build their tables with these codecs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from triton_operator.api.tensor import DataType
from triton_operator.triton.config.codecs import Codec, Enumerated, Integer, Repeated, StructCodec, Text, refuse_others
from triton_operator.triton.text.checked_values import as_message, single
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value

DATA_TYPE = Enumerated({f"TYPE_{data_type}": data_type for data_type in DataType})
DIMS = Repeated(Integer())

YES = Identifier("true")


class Entries:
    """A map with string keys: a dictionary in the API, messages with `key` and `value` in the text."""

    def __init__(self, message_type: str, content: Codec) -> None:
        """`content` is the codec of the values, `message_type` the type of an entry."""
        self._message_type, self._content = message_type, content

    def write(self, value: dict[str, Any]) -> list[Value]:
        """One entry for each key, sorted, so that equal maps have equal texts."""
        return [{"key": [key], "value": self._content.write(value[key])} for key in sorted(value)]

    def read(self, values: list[Value], path: str) -> dict[str, Any]:
        """The dictionary; a repeated key is an error, because the first value would be lost."""
        found: dict[str, Any] = {}
        for index, value in enumerate(values):
            place = f"{path}[{index}]"
            key, content = entry(as_message(value, place), self._message_type, place)
            if key in found:
                raise ConfigError(f'{place}.key: "{key}" is set twice')
            found[key] = self._content.read([content], f"{place}.value")
        return found


class Rearranged:
    """A struct whose message is converted to the form of `record` before it is read, and back after it is written.

    `from_triton` gets the message and its path and raises ConfigError; `to_triton` gets what the record wrote.
    """

    def __init__(
        self,
        record: StructCodec,
        to_triton: Callable[[Message], Message],
        from_triton: Callable[[Message, str], Message],
    ) -> None:
        """`record` is the codec of the converted form; the functions convert."""
        self._record, self._to_triton, self._from_triton = record, to_triton, from_triton

    def write(self, value: Any) -> list[Value]:
        """Triton's message."""
        return [self._to_triton(self._record.to_message(value))]

    def read(self, values: list[Value], path: str) -> Any:
        """The struct."""
        return self._record.from_message(self._from_triton(as_message(single(values, path), path), path), path)


def entry(message: Message, message_type: str, path: str) -> tuple[str, Value]:
    """Key and value of a map entry."""
    refuse_others(message, {"key", "value"}, message_type, path)
    for part in ("key", "value"):
        if not message.get(part):
            raise ConfigError(f"{path}.{part}: is missing")
    return Text().read(message["key"], f"{path}.key"), single(message["value"], f"{path}.value")


def one_of(message: Message, fields: tuple[str, ...], path: str) -> str:
    """The only one of these fields that is set."""
    found = [field for field in fields if message.get(field)]
    if len(found) != 1:
        raise ConfigError(f"{path}: exactly one of {', '.join(fields)} must be set")
    return found[0]
