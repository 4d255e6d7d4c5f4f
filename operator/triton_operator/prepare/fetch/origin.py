"""The interface of a source for the parallel download, independent of the protocol.

A source fails permanently (PrepareError), temporarily (TransientError), or because a file was replaced during the
download (SourceChangedError).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from triton_operator.api.conditions import Reason
from triton_operator.errors import TritonOperatorError
from triton_operator.prepare.errors import PrepareError

CHUNK = 1 << 20
"""Bytes that each connection keeps in memory."""


BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP status codes after which a retry may succeed."""


class RemoteFile(NamedTuple):
    """A file to fetch: `name` is its path below the target folder, `key` its name at the source.

    `size` is None if the source does not report it. `version` changes with the content; "" means that the source has no
    versions, so the file cannot be resumed.
    """

    name: str
    key: str
    size: int | None
    version: str


class Origin(Protocol):
    """A source of files."""

    shown: str
    """Its URL for messages, without secrets."""

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` to before `end` (None: to the file's end), in pieces of about CHUNK.

        Raises TransientError, SourceChangedError or PrepareError. It may end early without an error; the caller then
        requests the rest.
        """


class TransientError(TritonOperatorError):
    """A temporary failure; the text describes it, without secrets."""


class SourceChangedError(TritonOperatorError):
    """The file was replaced while it was fetched."""


def source_invalid(message: str) -> PrepareError:
    """The source is available, but its content cannot be used."""
    return PrepareError(Reason.SOURCE_INVALID, "", message)
