"""The vault of the action `tokenize`: the values behind the tokens. It stays with the caller, in memory.

`unmask(masked)` is the text before masking, whatever the text is. What looks like a token in a text is replaced by a
token as well (its type is TEXT), so that no text can name a value that it did not contain.
"""

from __future__ import annotations

import re
from threading import Lock

TEXT = "TEXT"
"""The type of a token in place of something that looks like a token."""

TOKEN = re.compile(r"<[A-Z_]+_[0-9]+>")
"""A token contains neither a bracket nor a space within, so that no two tokens overlap."""


class Vault:
    """The values of one conversation; the same value has the same token. Threads can share a vault."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._last: dict[str, int] = {}

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value."""
        with self._lock:
            token = self._tokens.get((kind, value))
            if token is None:
                self._last[kind] = self._last.get(kind, 0) + 1
                token = f"<{kind}_{self._last[kind]}>"
                self._tokens[kind, value] = token
                self._values[token] = value
            return token

    def unmask(self, text: str) -> str:
        """Return a text with the values in place of their tokens; tokens that the vault did not issue are kept."""
        return TOKEN.sub(lambda match: self._values.get(match[0], match[0]), text)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._tokens.clear()
            self._values.clear()
            self._last.clear()

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """Return the number of values, never the values."""
        return f"Vault({len(self)} values)"
