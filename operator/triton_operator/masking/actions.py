"""What is written in place of personal data.

`mask` and `replace` need no key. `hash` needs a secret key: the same value always has the same hash, so that records
can still be joined, and without the key nobody can find the value by trying all telephone numbers. `tokenize` needs a
vault.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from triton_operator.masking.errors import MaskingError
from triton_operator.masking.plain_text import plain


class MaskingAction(StrEnum):
    """What is done with personal data of a type."""

    MASK = "mask"
    """One asterisk for each character."""
    REPLACE = "replace"
    """The type, such as <PHONE>."""
    HASH = "hash"
    """The type and a keyed hash of the value, such as <PHONE:6b7f0f3d2a90c14e>."""
    TOKENIZE = "tokenize"
    """A token, such as <PHONE_1>, that the vault of the caller turns into the value again."""


Replacement: TypeAlias = Callable[[str, str], str]
"""Returns what is written in place of a value; the arguments are the type and the value."""

LEAST_KEY = 16
"""Bytes of the shortest key of the action `hash`."""
_HASH_CHARACTERS = 16
_SEPARATORS = re.compile(r"[\s()\u00b7.,-]")


def masked(_kind: str, value: str) -> str:
    """Return asterisks; white space is kept."""
    return re.sub(r"\S", "*", value)


def replaced(kind: str, _value: str) -> str:
    """Return the type in angle brackets."""
    return f"<{kind}>"


def hashed(key: bytes) -> Replacement:
    """Return a function that writes the type and the keyed hash of a value, without regard to case and separators."""
    if len(key) < LEAST_KEY:
        raise MaskingError(f"the key of the action `hash` has {len(key)} bytes; it needs at least {LEAST_KEY}")

    def replacement(kind: str, value: str) -> str:
        content = _SEPARATORS.sub("", plain(value)).casefold().encode("utf-8", "surrogatepass")
        return f"<{kind}:{hmac.digest(key, content, 'sha256').hex()[:_HASH_CHARACTERS]}>"

    return replacement


def read_key(path: Path) -> bytes:
    """Read the key of the action `hash` from a file; a line break at the end is not part of it."""
    try:
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise MaskingError(f"key file {path}: {error.strerror}") from error
