"""Unpacks an archive that somebody else made: `.tar`, `.tar.gz` or `.zip`, told by its first bytes.

Only folders and plain files come out, and only below the target, which must be empty. Everything else in an archive
(links, devices, names that climb out, the same name twice, more than fits) is refused with the member's name.
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
from triton_operator.prepare.fetch.space import free_bytes, is_full, make_sure_there_is_room, out_of_space

MAX_MEMBERS = 100_000
"""Files and folders of one archive; more is no model repository."""
LONGEST_HEADER = 1 << 20
"""Bytes that a reader may want at once: a tar header can claim gigabytes, which would have to be held."""

LONGEST_PADDING = 16 * CHUNK

_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of the others Python undoes a whole piece at once, however large it becomes."""

LONGEST_CONTENTS = 16 << 20
"""Bytes of a .zip's table of contents, which is held as a whole: 100,000 members with usual names."""


class ArchiveRejectedError(TritonOperatorError, ValueError):
    """An archive that is not unpacked; the text says why, without the archive's name."""


class Member(NamedTuple):
    """One entry: `content` is None for a folder."""

    name: str
    size: int
    content: IO[bytes] | None


def unpack(archive: Path, target: Path, shown: str) -> None:
    """Unpack into the empty folder `target`; raises PrepareError, `shown` is what it calls the archive."""
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
    """Whatever reading an archive raises means that it is broken: its readers name no common error."""
    try:
        yield
    except ArchiveRejectedError:
        raise
    except Exception as error:
        raise ArchiveRejectedError(f"the archive is broken: {_in_a_line(error)}") from error


def _members(file: IO[bytes]) -> Iterator[Member]:
    """The entries in the order in which they lie; raises ArchiveRejectedError."""
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
    raise ArchiveRejectedError("this is neither a .tar, a .tar.gz nor a .zip")


def _write(members: Iterator[Member], target: Path, shown: str) -> None:
    for count, member in enumerate(members):
        if count == MAX_MEMBERS:
            raise ArchiveRejectedError(f"the archive has more than {MAX_MEMBERS} members")
        make_sure_there_is_room(f"{member.name!a} in {shown}", target, member.size)
        path = target.joinpath(*_safe_parts(member.name))
        try:
            _write_member(member, path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ArchiveRejectedError(f"{member.name!a} is there twice, or as a file and as a folder") from error


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
        raise ArchiveRejectedError(f"{member.name!a} is not as long as the archive says")


def _read(content: IO[bytes], size: int) -> bytes:
    with _reading():
        return content.read(size)


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    sparing = _Sparing(file, LONGEST_HEADER)
    with tarfile.open(fileobj=cast("IO[bytes]", sparing), mode="r:") as archive:
        for entry in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # It would remember them all, 1 KB each.
            if entry.isdir():
                yield Member(entry.name, 0, None)
            elif entry.isreg():
                yield Member(entry.name, entry.size, archive.extractfile(entry))
            else:
                raise ArchiveRejectedError(
                    f"{entry.name!a} is {_kind(entry)}; put files and folders alone into the archive"
                )
    if any(sparing.last) or len(sparing.last) != tarfile.BLOCKSIZE:  # tarfile takes any odd block for the end.
        raise ArchiveRejectedError("the archive ends in the middle")
    _read_to_the_end(file)


def _read_to_the_end(file: IO[bytes]) -> None:
    """So that gzip compares its checksum; behind a tar there is a little padding."""
    for _ in range(LONGEST_PADDING // CHUNK):
        if not file.read(CHUNK):
            return
    raise ArchiveRejectedError("there is more behind the end of the archive")


def _kind(entry: tarfile.TarInfo) -> str:
    return "a link" if entry.issym() or entry.islnk() else "a device or a pipe"


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(cast("IO[bytes]", _Sparing(file, LONGEST_CONTENTS))) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise ArchiveRejectedError(
                    f"{entry.filename!a} is a link or a device; put files and folders alone into it"
                )
            if entry.flag_bits & 1:
                raise ArchiveRejectedError(f"{entry.filename!a} is encrypted")
            if entry.compress_type not in _COMPRESSIONS:
                raise ArchiveRejectedError(
                    f"{entry.filename!a} is compressed in a way that is not read; use deflate, or none"
                )
            if entry.is_dir():
                yield Member(entry.filename, 0, None)
                continue
            with archive.open(entry) as content:
                yield Member(entry.filename, entry.file_size, content)


class _Sparing:
    """A file that refuses to be read in pieces of more than `most` bytes; `last` is the last piece."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self._most = most
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """As a file's; to its end is only a short way, else it is refused as well."""
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
