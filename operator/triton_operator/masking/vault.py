"""The vault of the action `tokenize`, which maps tokens to values. It exists only in the caller's memory.

`unmask` restores the text before masking exactly, whatever it contains. If a part of a text looks like a token, it is
replaced by a token as well (of the type TEXT), so that a text cannot obtain a value that it did not contain.
"""

from __future__ import annotations

import re
from threading import Lock

TEXT = "TEXT"
"""The type of a token that replaces something that looks like a token."""

TOKEN = re.compile(r"<[A-Z_]+_[0-9]+>")
"""Between its angle brackets, a token contains neither a bracket nor a space, so two tokens cannot overlap."""


class TokenVault:
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
        return f"TokenVault({len(self)} values)"
