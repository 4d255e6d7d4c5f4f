"""Find traits of a zip archive because of which two readers could see different content.

Input: an archive. Output: the name of a member, or "", and a message. torch, Python and other readers differ in which
of two members with one name they use, whether they believe the table of contents or the header before a member, and
what they ignore before and after the archive. Archives of torch have none of these traits.
"""

from __future__ import annotations

import itertools
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.triton.model_file.archive import CONTENTS_LIMIT, Archive, FileType

_LOCAL = struct.Struct("<4s5H3L2H")
_END, _END_64, _LOCATOR_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_END_64_CONTENT = _END_64.size - 12
"""The size of the larger end record in its own size field, which counts neither its signature nor the field."""

_HAS_DESCRIPTOR = 0x8
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LATER = 0xFFFFFFFF
"""A size or an offset that is too large for its field and stored elsewhere."""

_DESCRIPTORS = frozenset([12, 16, 20, 24])
"""Sizes of the record after a member whose sizes were unknown when its header was written."""

_MOST_PER_CHECK = 20
_LARGE, _MOST_EXPANDED = 1 << 20, 200
_ALL_LARGE, _ALL_EXPANDED = 256 << 20, 10


class Trait(NamedTuple):
    """What is unusual about the archive or one of its members; `is_size` is set if it concerns sizes only."""

    entry: str
    message: str
    is_size: bool = False


class _ByteRange(NamedTuple):
    """The bytes of a member in the file, from its header to the end of its data."""

    start: int
    end: int
    member: zipfile.ZipInfo


def check_structure(archive: Archive) -> Iterator[Trait]:
    """Yield the first traits of each kind."""
    spans: list[_ByteRange] = []
    for traits in (
        _check_ends(archive),
        _check_names(archive),
        _check_duplicates(archive),
        _check_members(archive),
        _check_headers(archive, spans),
        _check_gaps(archive, spans),
        _check_sizes(archive),
    ):
        yield from itertools.islice(traits, _MOST_PER_CHECK)


def _check_ends(archive: Archive) -> Iterator[Trait]:
    """The end record must be the last bytes of the file, and the table of contents where it says."""
    tail = archive.read_range(archive.contents_start, CONTENTS_LIMIT)
    if archive.size - archive.contents_start != len(tail) or len(tail) < _END.size:
        yield Trait("", "has data after the table of contents")
        return
    at = len(tail) - _END.size
    signature, _, _, _, count, size, offset, comment = _END.unpack_from(tail, at)
    if signature != b"PK\5\6" or comment:
        yield Trait("", "has data or a comment after the archive")
        return
    locator = archive.read_range(max(archive.size - _END.size - _LOCATOR_64.size, 0), _LOCATOR_64.size)
    if locator.startswith(b"PK\6\7"):
        at -= _LOCATOR_64.size + _END_64.size
        if at < 0 or not _is_usual(locator, tail[at:], archive.contents_start + at):
            yield Trait("", "has an unusual end record")
            return
        *_, count, size, offset = _END_64.unpack_from(tail, at)
    if (count, size, offset) != (len(archive.members), at, archive.contents_start):
        yield Trait("", "has data before the archive, or an end record that does not match its table of contents")


def _is_usual(locator: bytes, record: bytes, position: int) -> bool:
    """Whether the larger end record is at `position`, before its locator.

    torch reads it where the locator says, or uses the smaller one if it is not there; Python reads it at `position`.
    """
    _, locator_disk, located, disks = _LOCATOR_64.unpack(locator)
    signature, size, _, _, disk, first_disk, *_ = _END_64.unpack_from(record)
    return (signature, size, located) == (b"PK\6\6", _END_64_CONTENT, position) and not (
        locator_disk or disk or first_disk or disks > 1
    )


def _check_names(archive: Archive) -> Iterator[Trait]:
    is_torch = archive.content in {FileType.TORCHSCRIPT, FileType.EXPORTED_PROGRAM, FileType.CHECKPOINT}
    for member in archive.members:
        name = member.filename
        if member.orig_filename != name or not name.isprintable() or "\\" in name:
            yield Trait(name, "has control characters or backslashes in its name")
        elif name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            yield Trait(name, "has a name that leaves the archive")
        elif not name.startswith(archive.folder) and (is_torch or name.lower().startswith(archive.folder.lower())):
            yield Trait(name, f"is outside of the archive's folder {archive.folder}")


def _check_duplicates(archive: Archive) -> Iterator[Trait]:
    """Torch compares names without regard to case."""
    seen: set[str] = set()
    for member in archive.members:
        name = member.filename.lower()
        if name in seen:
            yield Trait(member.filename, "occurs more than once; readers differ in which one they use")
        seen.add(name)


def _check_members(archive: Archive) -> Iterator[Trait]:
    for member in archive.members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind == stat.S_IFLNK:
            yield Trait(member.filename, "is a symbolic link")
        elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            yield Trait(member.filename, "is neither a file nor a folder")
        if member.flag_bits & _ENCRYPTED:
            yield Trait(member.filename, "is encrypted")
        elif member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            yield Trait(member.filename, "has a compression method that torch does not use")
        elif member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
            yield Trait(member.filename, "is not compressed, but its two sizes differ")


def _check_headers(archive: Archive, spans: list[_ByteRange]) -> Iterator[Trait]:
    """Compare each member's header with the table of contents; fills `spans`."""
    for member in archive.members:
        header = archive.read_range(member.header_offset, _LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
            yield Trait(member.filename, "has no header where the table of contents says")
            continue
        _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
        name = archive.read_range(member.header_offset + _LOCAL.size, name_length)
        data = member.header_offset + _LOCAL.size + name_length + extra_length
        spans.append(_ByteRange(member.header_offset, data + member.compress_size, member))
        has_descriptor = bool(flags & _HAS_DESCRIPTOR)
        if name != _encoded_name(member):
            yield Trait(member.filename, "has another name in its header than in the table of contents")
        elif (flags, method) != (member.flag_bits, member.compress_type):
            yield Trait(member.filename, "has other flags or another compression method in its header")
        elif not (
            _agrees(crc, member.CRC, has_descriptor)
            and _agrees(packed, member.compress_size, has_descriptor)
            and _agrees(size, member.file_size, has_descriptor)
        ):
            yield Trait(member.filename, "has another size or checksum in its header than in the table of contents")


def _encoded_name(member: zipfile.ZipInfo) -> bytes:
    """The bytes of the name in the table of contents."""
    return member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437", errors="replace")


def _agrees(local: int, central: int, has_descriptor: bool) -> bool:  # noqa: FBT001 -- positional in one expression
    return local in {central, _LATER} or (has_descriptor and local == 0)


def _check_gaps(archive: Archive, spans: list[_ByteRange]) -> Iterator[Trait]:
    """Members must follow each other without overlap and without bytes that belong to none."""
    spans.sort(key=lambda span: span.start)
    previous = _ByteRange(0, 0, zipfile.ZipInfo())
    for span in spans:
        yield from _check_gap(previous, span.start, span.member.filename)
        previous = span if span.end >= previous.end else previous
    yield from _check_gap(previous, archive.contents_start, "")


def _check_gap(previous: _ByteRange, start: int, entry: str) -> Iterator[Trait]:
    """Compare the end of a member with the start of the next one, or of the table of contents if `entry` is ""."""
    gap = start - previous.end
    has_descriptor = bool(previous.member.flag_bits & _HAS_DESCRIPTOR)
    before = "the member" if entry else "the table of contents"
    if gap < 0:
        yield Trait(entry, f"{before} overlaps {previous.member.filename}")
    elif gap and not (has_descriptor and gap in _DESCRIPTORS):
        yield Trait(entry, f"has {gap:,} bytes before {before} that belong to no member")


def _check_sizes(archive: Archive) -> Iterator[Trait]:
    for member in archive.members:
        if member.file_size > max(_LARGE, _MOST_EXPANDED * member.compress_size):
            message = f"expands from {member.compress_size:,} to {member.file_size:,} bytes"
            yield Trait(member.filename, message, is_size=True)
    total = sum(member.file_size for member in archive.members)
    if total > max(_ALL_LARGE, _ALL_EXPANDED * archive.size):
        yield Trait("", f"expands from {archive.size:,} to {total:,} bytes", is_size=True)
