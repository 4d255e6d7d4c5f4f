"""Files that need care: private ones, which are never overwritten, and untrusted ones, whose size is limited.

Input: a path, and the content or a limit. Output: the file or its content; OSError, or FileTooLargeError. The callers
describe an error in the words of their subject.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from triton_operator.errors import TritonOperatorError

PRIVATE = 0o600
"""Only the owner can read and write."""


class FileTooLargeError(TritonOperatorError):
    """A file has more bytes than the caller reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"has more than {limit} bytes")


def open_new(file: Path, mode: int = PRIVATE) -> IO[bytes]:
    """Open a new file for writing; raises FileExistsError also for a link, and OSError."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def open_regular(file: Path, *, follow: bool = False) -> IO[bytes]:
    """Open an untrusted file for reading, but no pipe, for which a reader would wait; raises OSError.

    A link is opened only with `follow`.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    opened = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "it is not a file", str(file))
    return opened


def create_file(file: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Create a file that is on the disk, whole, when this returns; after an OSError, nothing is left.

    Raises FileExistsError for an existing file, which is not changed.
    """
    opened = open_new(file, mode)
    try:
        with opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        _sync_folder(file.parent)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def read_file(file: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes; raises FileTooLargeError, without reading the rest, and OSError."""
    with file.open("rb") as stream:
        return read_stream(stream, limit)


def read_regular(file: Path, limit: int) -> bytes:
    """Like `read_file`, for an untrusted file or a link to it; raises OSError for a pipe or a device."""
    with open_regular(file, follow=True) as stream:
        return read_stream(stream, limit)


def read_stream(stream: IO[bytes], limit: int) -> bytes:
    """Read the rest of a stream, of at most `limit` bytes; raises FileTooLargeError and OSError."""
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise FileTooLargeError(limit)
    return content


def _sync_folder(folder: Path) -> None:
    """Write the entry of a new file to the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
