"""Read a TorchScript or AOTInductor file as a zip archive, without executing it and without torch.

Input: any file. Output: its type and its signature. `prepare` and `lint` call it. The file is untrusted: the sizes of
its table of contents and of each member are limited before they are read, and duplicate names are rejected, because
readers differ in which one they use.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from enum import Enum
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from triton_operator.errors import TritonOperatorError
from triton_operator.triton.model_file.signature import EXTRA_FILE, Signature, SignatureError, decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENTS_LIMIT = 4 << 20
"""Maximum size of an archive's table of contents: about 60 bytes per member, which needs 600 bytes of memory."""

SIGNATURE_LIMIT = 1 << 20
"""Maximum size of a signature in bytes; typical ones have a few hundred."""

_PIECE = 1 << 20
_END_SIZE, _LOCATOR_SIZE, _SEARCHED = 22, 20, 1 << 17
"""Sizes of records at the end of an archive, and the bytes in which torch searches for them, rounded up."""

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_PRINTABLE = frozenset(b"\t\n\r") | frozenset(range(32, 127))
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError, NotImplementedError),
)
"""Exceptions of the standard library for archives that are damaged, encrypted or have an unknown compression."""


class ArchiveError(TritonOperatorError, ValueError):
    """The archive cannot be read or is rejected; the text is the reason, without the file's name."""


class FileType(Enum):
    """Type of a model file, as text for messages."""

    TORCHSCRIPT = "TorchScript"
    CHECKPOINT = "a pickle written by torch.save"
    PICKLE = "a Python pickle"
    EXPORTED_PROGRAM = "a program of torch.export (.pt2)"
    OTHER_ARCHIVE = "a zip archive with other content"
    CUT_ARCHIVE = "an incomplete zip archive"
    FOLDER = "a folder"
    EMPTY = "empty"
    TEXT = "text"
    UNKNOWN = "a file of unknown format"


class _Bounded:
    """A file that rejects reads of more than CONTENTS_LIMIT bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, CONTENTS_LIMIT + 1) if size >= 0 else CONTENTS_LIMIT + 1)
        if len(data) > CONTENTS_LIMIT:
            raise ArchiveError(f"its table of contents has more than {CONTENTS_LIMIT} bytes")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


class Archive:
    """A zip archive as torch reads it: its members are those below the folder of the first member.

    `members` are those of the whole table of contents, which starts at `contents_start` of the file's `size` bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the table of contents; raises ArchiveError."""
        self._file = file
        try:
            self._zip = zipfile.ZipFile(cast("BinaryIO", _Bounded(file)))
            self.size = file.seek(0, os.SEEK_END)
        except _BROKEN as error:
            raise _unreadable(error) from error
        self.members = members = self._zip.infolist()
        self.contents_start = self._zip.start_dir
        self.folder = members[0].filename.partition("/")[0] + "/" if members else "/"
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        for member in members:
            if member.filename.startswith(self.folder):
                self._members.setdefault(member.filename.removeprefix(self.folder), []).append(member)

    @property
    def names(self) -> list[str]:
        """Names of the members without duplicates, in order."""
        return list(self._members)

    def path_of(self, member: zipfile.ZipInfo) -> str:
        """The name of one of `members`, without the folder of the archive if it is there."""
        return member.filename.removeprefix(self.folder)

    @property
    def content(self) -> FileType:
        """The type of the archive, from the names of its members."""
        names = set(self.names)
        if "constants.pkl" in names and any(name.startswith("code/") for name in names):
            return FileType.TORCHSCRIPT
        if "archive_format" in names:
            return FileType.EXPORTED_PROGRAM
        return FileType.CHECKPOINT if "data.pkl" in names else FileType.OTHER_ARCHIVE

    def read(self, name: str, limit: int) -> bytes | None:
        """A member's bytes, None if it does not exist; raises ArchiveError, also above `limit` bytes."""
        data = self.read_start(name, limit + 1)
        if data is not None and len(data) > limit:
            raise ArchiveError(f"{name} has more than {limit} bytes")
        return data

    def read_start(self, name: str, size: int) -> bytes | None:
        """A member's first bytes, at most `size`; None if it does not exist. Raises ArchiveError."""
        found = self._members.get(name)
        if not found:
            return None
        if len(found) > 1:
            raise ArchiveError(f"{name} occurs in the archive {len(found)} times")
        return self.read_member(found[0], size)

    def read_member(self, member: zipfile.ZipInfo, size: int) -> bytes:
        """The first bytes of one of `members`, at most `size`; raises ArchiveError."""
        # Python decompresses the other methods a whole piece at a time, without a limit on its size.
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ArchiveError(f"{member.filename} has a compression method that torch does not use")
        try:
            with self._zip.open(member) as opened:
                return b"".join(_pieces(opened, size))
        except _BROKEN as error:
            raise _unreadable(error) from error

    def read_range(self, offset: int, size: int) -> bytes:
        """At most `size` bytes of the file itself, from `offset` on; raises ArchiveError."""
        try:
            self._file.seek(offset)
            return self._file.read(size)
        except _BROKEN as error:
            raise _unreadable(error) from error

    def signature(self) -> Signature | None:
        """The signature from `tritonctl export`, None if there is none; raises ArchiveError."""
        data = self.read(f"extra/{EXTRA_FILE}", SIGNATURE_LIMIT)
        try:
            return None if data is None else decode(data)
        except SignatureError as error:
            raise ArchiveError(str(error)) from error


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    """At most `size` bytes of a file, in pieces that `_Bounded` accepts."""
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def read_file_type(file: BinaryIO) -> FileType:
    """The type of a file, from its first bytes and the names of an archive's members; raises ArchiveError."""
    start = file.read(512)
    file.seek(0)
    if start.startswith(_ZIP):
        return Archive(file).content if zipfile.is_zipfile(file) else FileType.CUT_ARCHIVE
    if not start:
        return FileType.EMPTY
    if start.startswith(_PICKLE):
        return FileType.PICKLE
    return FileType.TEXT if _PRINTABLE.issuperset(start) else FileType.UNKNOWN


def has_archive(file: BinaryIO) -> bool:
    """Whether a reader that searches for the end of an archive, as torch does, finds one in a file of any type."""
    start = max(file.seek(0, os.SEEK_END) - _SEARCHED, 0)
    file.seek(start)
    tail = file.read(_SEARCHED)
    ends = (found.start() for found in re.finditer(rb"PK\x05\x06", tail))
    return any(_is_end(file, start + at, tail[at : at + _END_SIZE]) for at in ends)


def _is_end(file: BinaryIO, position: int, record: bytes) -> bool:
    """Whether it leads to a table of contents, so that the same bytes in a library do not count."""
    if len(record) < _END_SIZE:
        return False
    size, offset = struct.unpack_from("<LL", record, 12)
    places = {position - _LOCATOR_SIZE: b"PK\6\7", offset: b"PK\1\2", position - size: b"PK\1\2"}
    for place, signature in places.items():
        if place >= 0:
            file.seek(place)
            if file.read(len(signature)) == signature:
                return True
    return False


def read_signature(path: Path) -> Signature | None:
    """The signature in a file, None for a file without one. Raises ArchiveError."""
    with path.open("rb") as file:
        if read_file_type(file) not in {FileType.TORCHSCRIPT, FileType.EXPORTED_PROGRAM}:
            return None
        file.seek(0)
        return Archive(file).signature()


def _unreadable(error: Exception) -> ArchiveError:
    if isinstance(error, ArchiveError):
        return error
    return ArchiveError(f"the zip archive cannot be read: {' '.join(str(error).split())[:200] or type(error).__name__}")
