"""Values of a Message, read without a complaint: what has another type counts as absent.

For messages that have been checked, or that Triton will judge; `model_config` is for those that a person wrote.
`defaults` and `resources` call it. Pure.
"""

from __future__ import annotations

from triton_operator.triton.config_text import Message


def text_in(message: Message, field: str) -> str:
    """A text or a word, "" where there is none."""
    value = next(iter(message.get(field, ())), "")
    return value if isinstance(value, str) else ""


def integer_in(message: Message, field: str) -> int:
    """A whole number, 0 where there is none."""
    value = next(iter(message.get(field, ())), 0)
    return value if isinstance(value, int) else 0


def messages_in(message: Message, field: str) -> list[Message]:
    """The messages among the field's values."""
    return [value for value in message.get(field, ()) if isinstance(value, dict)]
