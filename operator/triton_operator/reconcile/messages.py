"""Sentences of conditions: how they are put together and kept within the bounds of the CRD.

Pure; whoever writes a message for a person goes through here.
"""

from __future__ import annotations

MESSAGE_LIMIT = 1024
"""Characters of a condition's message; the CRD allows a little more."""


def clip(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """At most `limit` characters; what was cut ends with an ellipsis."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def join(cause: str, *consequences: str) -> str:
    """The cause and what follows from it, as one sentence; only the cause is cut where that grows too long."""
    rest = "".join(f"; {consequence}" for consequence in consequences if consequence)
    return clip(cause.rstrip(" .\n"), max(MESSAGE_LIMIT - len(rest), 0)) + rest if rest else clip(cause)
