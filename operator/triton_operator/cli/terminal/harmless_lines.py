"""A text stream without commands of CI systems.

Input: a stream, and the output of rich, which wraps long text. Output: the same lines on the stream. Wrapping can put
any part of an escaped text at the start of a line, where a CI system reads commands.
"""

from __future__ import annotations

import io
from typing import TextIO

from triton_operator.api.text import escape_commands


class HarmlessLines(io.TextIOBase):
    """Escapes the commands in each line that is written; rich writes whole lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has an attribute that is not writable either.
        """The encoding of the stream."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write the lines to the stream."""
        return self._stream.write("\n".join(map(escape_commands, text.split("\n"))))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def writable(self) -> bool:
        """Whether the stream can be written: it can."""
        return True
