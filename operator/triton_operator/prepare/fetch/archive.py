"""Unpack an untrusted archive: `.tar`, `.tar.gz` or `.zip`, detected from its first bytes.

Only folders and regular files are written, and only below the target, which must be empty. Everything else in an
archive (links, devices, names that leave the target, duplicate names, more data than fits) is rejected with the
member's name.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from triton_operator.errors import TritonOperatorError
from triton_operator.prepare.fetch.names import safe_parts
from triton_operator.prepare.fetch.origin import CHUNK, source_invalid
from triton_operator.prepare.fetch.space import free_bytes, is_full, out_of_space, require_space

MAX_MEMBERS = 100_000
"""Maximum number of files and folders in an archive."""
LONGEST_HEADER = 1 << 20
"""Maximum size of one read: a tar header can claim gigabytes, which would have to be kept in memory."""

LONGEST_PADDING = 16 * CHUNK

_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Python decompresses the other methods a whole piece at a time, without a limit on its size."""

LONGEST_CONTENTS = 16 << 20
"""Maximum size of a .zip's table of contents, which is kept in memory: 100,000 members with usual names."""


class ArchiveRejectedError(TritonOperatorError, ValueError):
    """The archive is rejected; the text is the reason, without the archive's name."""


class Member(NamedTuple):
    """One entry: `content` is None for a folder."""

    name: str
    size: int
    content: IO[bytes] | None


def unpack(archive: Path, target: Path, shown: str) -> None:
    """Unpack into the empty folder `target`; raises PrepareError. `shown` is the archive's name in messages."""
    try:
        with archive.open("rb") as file:
            _write(_members(file), target, shown)
    except ArchiveRejectedError as error:
        raise source_invalid(f"{shown}: {error}") from error
    except OSError as error:
        if is_full(error):
            raise out_of_space(shown, None, free_bytes(target)) from error
        raise


@contextmanager
def _reading() -> Iterator[None]:
    """Turn every exception of the archive readers, which have no common base class, into ArchiveRejectedError."""
    try:
        yield
    except ArchiveRejectedError:
        raise
    except Exception as error:
        raise ArchiveRejectedError(f"the archive is broken: {_in_a_line(error)}") from error


def _members(file: IO[bytes]) -> Iterator[Member]:
    """The entries in the order of the archive; raises ArchiveRejectedError."""
    members = _members_of(file)
    while True:
        with _reading():
            member = next(members, None)
        if member is None:
            return
        yield member


def _members_of(file: IO[bytes]) -> Iterator[Member]:
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK"):
        return _zip_members(file)
    if start.startswith(b"\x1f\x8b"):
        return _tar_members(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
    if start[257:262] == b"ustar":
        return _tar_members(file)
    raise ArchiveRejectedError("the file is not a .tar, .tar.gz or .zip archive")


def _write(members: Iterator[Member], target: Path, shown: str) -> None:
    for count, member in enumerate(members):
        if count == MAX_MEMBERS:
            raise ArchiveRejectedError(f"the archive has more than {MAX_MEMBERS} members")
        require_space(f"{member.name!a} in {shown}", target, member.size)
        path = target.joinpath(*_safe_parts(member.name))
        try:
            _write_member(member, path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ArchiveRejectedError(f"{member.name!a} occurs twice, or as a file and as a folder") from error


def _safe_parts(name: str) -> tuple[str, ...]:
    try:
        return safe_parts(name)
    except ValueError as error:
        raise ArchiveRejectedError(str(error)) from error


def _write_member(member: Member, path: Path) -> None:
    if member.content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with path.open("xb") as file:
        while left and (chunk := _read(member.content, min(CHUNK, left))):
            left -= file.write(chunk)
    if left or _read(member.content, 1):
        raise ArchiveRejectedError(f"the size of {member.name!a} differs from the size in the archive's header")


def _read(content: IO[bytes], size: int) -> bytes:
    with _reading():
        return content.read(size)


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    bounded = _BoundedReader(file, LONGEST_HEADER)
    with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r:") as archive:
        for entry in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them, 1 KB each.
            if entry.isdir():
                yield Member(entry.name, 0, None)
            elif entry.isreg():
                yield Member(entry.name, entry.size, archive.extractfile(entry))
            else:
                raise ArchiveRejectedError(
                    f"{entry.name!a} is {_kind(entry)}; the archive must contain only files and folders"
                )
    if any(bounded.last) or len(bounded.last) != tarfile.BLOCKSIZE:  # tarfile accepts any block as the end.
        raise ArchiveRejectedError("the archive is truncated")
    _read_to_the_end(file)


def _read_to_the_end(file: IO[bytes]) -> None:
    """Read the padding after a tar, so that gzip verifies its checksum."""
    for _ in range(LONGEST_PADDING // CHUNK):
        if not file.read(CHUNK):
            return
    raise ArchiveRejectedError("there is data after the end of the archive")


def _kind(entry: tarfile.TarInfo) -> str:
    return "a link" if entry.issym() or entry.islnk() else "a device or a pipe"


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(cast("IO[bytes]", _BoundedReader(file, LONGEST_CONTENTS))) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise ArchiveRejectedError(
                    f"{entry.filename!a} is a link or a device; the archive must contain only files and folders"
                )
            if entry.flag_bits & 1:
                raise ArchiveRejectedError(f"{entry.filename!a} is encrypted")
            if entry.compress_type not in _COMPRESSIONS:
                raise ArchiveRejectedError(
                    f"{entry.filename!a} has an unsupported compression method; use deflate or no compression"
                )
            if entry.is_dir():
                yield Member(entry.filename, 0, None)
                continue
            with archive.open(entry) as content:
                yield Member(entry.filename, entry.file_size, content)


class _BoundedReader:
    """A file that rejects reads of more than `most` bytes; `last` is the last piece."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self._most = most
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Like a file's; a read to the end is rejected, too, if more than `most` bytes remain."""
        data = self._file.read(min(size, self._most + 1) if size >= 0 else self._most + 1)
        if len(data) > self._most or size > self._most:
            raise ArchiveRejectedError(f"a header in the archive claims {size if size >= 0 else len(data)} bytes")
        self.last = data
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        return self._file.seek(position, whence)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
