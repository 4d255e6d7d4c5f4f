"""Sentences of conditions: how they are put together and kept within the bounds of the CRD.

Pure; whoever writes a message for a person goes through here, so that none steers the terminal that prints it: a part
of it may be the words of a file, a log or another program.
"""

from __future__ import annotations

from triton_operator.api.text import escape

MESSAGE_LIMIT = 1024
"""Characters of a condition's message; the CRD allows a little more."""


def clip(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line of at most `limit` characters that can all be printed; what was cut ends with an ellipsis."""
    message = escape(" ".join(message.split()))
    return message if len(message) <= limit else message[: limit - 1] + "…"


def join(cause: str, *consequences: str) -> str:
    """The cause and what follows from it, as one sentence; only the cause is cut where that grows too long."""
    rest = escape("".join(f"; {consequence}" for consequence in consequences if consequence))
    return clip(cause.rstrip(" .\n"), max(MESSAGE_LIMIT - len(rest), 0)) + rest if rest else clip(cause)
