"""Messages of conditions: how they are joined, escaped, and kept within the limit of the CRD.

Pure. Every message goes through here, because a part of it may come from a file, a log or another program, and must
not control the terminal that prints it.
"""

from __future__ import annotations

from triton_operator.api.text import escape

MESSAGE_LIMIT = 1024
"""Characters of a condition's message; the CRD allows a little more."""


def clip(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line of at most `limit` printable characters; text that was cut ends with an ellipsis."""
    if not _is_one_line(message):
        message = escape(" ".join(message.split()))
    return message if len(message) <= limit else message[: limit - 1] + "…"


def _is_one_line(message: str) -> bool:
    """Whether all characters are printable, with single spaces between words: true of most messages, and cheap."""
    return message.isprintable() and "  " not in message and message == message.strip()


def join(cause: str, *consequences: str) -> str:
    """The cause and its consequences as one sentence; if it is too long, only the cause is cut."""
    rest = escape("".join(f"; {consequence}" for consequence in consequences if consequence))
    return clip(cause.rstrip(" .\n"), max(MESSAGE_LIMIT - len(rest), 0)) + rest if rest else clip(cause)
