"""What the parallel download needs to know of a source, whichever protocol it speaks.

Here is also how a source fails: for good (PrepareError with a reason), in passing, or because a file was replaced
meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from triton_operator.api.conditions import Reason
from triton_operator.errors import TritonOperatorError
from triton_operator.prepare.errors import PrepareError

CHUNK = 1 << 20
"""Bytes that are held of each connection at a time."""


BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP's answers that other attempts may not get."""


class RemoteFile(NamedTuple):
    """A file to fetch: `name` is its path below the folder to fill, `key` what the source calls it.

    `size` is None when the source does not tell. `version` changes with the content; "" means that the source has no
    such thing, so that nothing of the file can be resumed.
    """

    name: str
    key: str
    size: int | None
    version: str


class Origin(Protocol):
    """A source of files."""

    shown: str
    """Its URL for messages, with nothing secret in it."""

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` to before `end` (None: to the file's end), in pieces of about CHUNK.

        Raises TransientError, SourceChangedError or PrepareError. It may end early without an error; the caller then
        requests the rest.
        """


class TransientError(TritonOperatorError):
    """Did not work now and may work later; the text says what happened, without secrets."""


class SourceChangedError(TritonOperatorError):
    """The file was replaced while it was fetched."""


def source_invalid(message: str) -> PrepareError:
    """The source answers, and what it holds cannot be used."""
    return PrepareError(Reason.SOURCE_INVALID, "", message)
