"""Unpacks an archive that somebody else made: `.tar`, `.tar.gz` or `.zip`, told by its first bytes.

Only folders and plain files come out, and only below the target, which must be empty. Everything else in an archive
(links, devices, names that climb out, the same name twice, more than fits) is refused with the member's name.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from triton_operator.prepare.fetch.names import safe_parts
from triton_operator.prepare.fetch.origin import CHUNK, source_invalid
from triton_operator.prepare.fetch.space import free_bytes, is_full, make_sure_there_is_room, out_of_space

MAX_MEMBERS = 100_000
"""Files and folders of one archive; more is no model repository."""
LONGEST_HEADER = 1 << 20
"""Bytes that a reader may want at once: a tar header can claim gigabytes, which would have to be held."""

LONGEST_PADDING = 16 * CHUNK

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError, NotImplementedError)


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
    except ValueError as error:
        raise source_invalid(f"{shown}: {error}") from error
    except _BROKEN as error:
        raise source_invalid(f"{shown}: the archive is broken: {_in_a_line(error)}") from error
    except OSError as error:
        if is_full(error):
            raise out_of_space(shown, None, free_bytes(target)) from error
        raise


def _members(file: IO[bytes]) -> Iterator[Member]:
    """The entries in the order in which they lie; raises ValueError for one that is refused."""
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK"):
        return _zip_members(file)
    if start.startswith(b"\x1f\x8b"):
        return _tar_members(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
    if start[257:262] == b"ustar":
        return _tar_members(file)
    raise ValueError("this is neither a .tar, a .tar.gz nor a .zip")


def _write(members: Iterator[Member], target: Path, shown: str) -> None:
    for count, member in enumerate(members):
        if count == MAX_MEMBERS:
            raise ValueError(f"the archive has more than {MAX_MEMBERS} members")
        make_sure_there_is_room(f"{member.name!a} in {shown}", target, member.size)
        path = target.joinpath(*safe_parts(member.name))
        try:
            _write_member(member, path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ValueError(f"{member.name!a} is there twice, or as a file and as a folder") from error


def _write_member(member: Member, path: Path) -> None:
    if member.content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with path.open("xb") as file:
        while left and (chunk := member.content.read(min(CHUNK, left))):
            left -= file.write(chunk)
    if left or member.content.read(1):
        raise ValueError(f"{member.name!a} is not as long as the archive says")


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    sparing = _Sparing(file)
    with tarfile.open(fileobj=cast("IO[bytes]", sparing), mode="r:") as archive:
        for entry in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # It would remember them all, 1 KB each.
            if entry.isdir():
                yield Member(entry.name, 0, None)
            elif entry.isreg():
                yield Member(entry.name, entry.size, archive.extractfile(entry))
            else:
                raise ValueError(f"{entry.name!a} is {_kind(entry)}; put files and folders alone into the archive")
    if any(sparing.last) or len(sparing.last) != tarfile.BLOCKSIZE:  # tarfile takes any odd block for the end.
        raise ValueError("the archive ends in the middle")
    _read_to_the_end(file)


def _read_to_the_end(file: IO[bytes]) -> None:
    """So that gzip compares its checksum; behind a tar there is a little padding."""
    for _ in range(LONGEST_PADDING // CHUNK):
        if not file.read(CHUNK):
            return
    raise ValueError("there is more behind the end of the archive")


def _kind(entry: tarfile.TarInfo) -> str:
    return "a link" if entry.issym() or entry.islnk() else "a device or a pipe"


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise ValueError(f"{entry.filename!a} is a link or a device; put files and folders alone into it")
            if entry.flag_bits & 1:
                raise ValueError(f"{entry.filename!a} is encrypted")
            if entry.is_dir():
                yield Member(entry.filename, 0, None)
                continue
            with archive.open(entry) as content:
                yield Member(entry.filename, entry.file_size, content)


class _Sparing:
    """A file that refuses to be read in large pieces; `last` is the last piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise ValueError(f"a header in the archive claims {size} bytes")
        self.last = self._file.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
