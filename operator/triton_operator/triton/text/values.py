"""Lenient readers of a Message: a value of another type counts as absent.

Use them for messages that have been checked, or that Triton will check; `checked_values` is for configurations from
users. The rules, the defaults and `resources` call them. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.triton.text.parser import Identifier, Message

DATA_TYPES = (
    *("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)
"""Names of `inference.DataType` by number, without `TYPE_`; a configuration may use the name or the number."""


def text_in(message: Message, field: str) -> str:
    """A string or a word, "" without one."""
    value = next(iter(message.get(field, ())), "")
    return value if isinstance(value, str) else ""


def texts_in(message: Message, field: str) -> list[str]:
    """The strings and words among the field's values."""
    return [value for value in message.get(field, ()) if isinstance(value, str)]


def integer_in(message: Message, field: str) -> int:
    """A whole number, 0 without one."""
    value = next(iter(message.get(field, ())), 0)
    return value if isinstance(value, int) else 0


def integers_in(message: Message, field: str) -> list[int]:
    """The whole numbers among the field's values."""
    return [value for value in message.get(field, ()) if isinstance(value, int)]


def truth_in(message: Message, field: str) -> bool:
    """A boolean in any spelling of protobuf, False without one."""
    value = next(iter(message.get(field, ())), 0)
    return value in {"true", "True", "t", 1}


def word_in(message: Message, field: str, words: Sequence[str]) -> str:
    """A value of an enumeration, given as its word or number; the first word if the field is absent."""
    value = next(iter(message.get(field, ())), 0)
    if isinstance(value, Identifier):
        return str(value)
    return words[value] if isinstance(value, int) and 0 <= value < len(words) else ""


def data_type_in(message: Message, field: str = "data_type") -> str:
    """A data type without `TYPE_`, "" without one."""
    found = word_in(message, field, DATA_TYPES).removeprefix("TYPE_")
    return "" if found == "INVALID" else found


def message_in(message: Message, field: str) -> Message:
    """The field's message, an empty one without one."""
    return next(iter(messages_in(message, field)), {})


def messages_in(message: Message, field: str) -> list[Message]:
    """The messages among the field's values."""
    return [value for value in message.get(field, ()) if isinstance(value, dict)]


def entries_in(message: Message, field: str) -> dict[str, Message]:
    """The entries of a map from strings, each whole; the last one of a repeated key counts, as in protobuf."""
    return {text_in(entry, "key"): entry for entry in messages_in(message, field)}
