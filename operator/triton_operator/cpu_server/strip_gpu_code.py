"""Remove from a shared library what a machine without a GPU never reads: GPU code and the linker's symbol table.

Input: a library with section headers. Output: a smaller library that the dynamic loader treats the same. In torch
2.15's libtorch_cuda.so, 337 of 520 MB are GPU code (`.nv_fatbin`) and 80 MB are `.symtab` and `.strtab`. `assemble`
calls it.

The loader reads only program headers, so section headers are removed as well. A segment that contains GPU code is split
in two around it. The addresses in between stay reserved and are never read, because the function that registers GPU
code is a stub (`cuda_stubs`).
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cpu_server.elf import FILE_HEADER, PROGRAM_HEADER, PT_LOAD, PT_NOTE, ElfError, read_sections

if TYPE_CHECKING:
    from pathlib import Path

GPU_CODE = b".nv_fatbin"
PAGE = 0x1000
SMALLEST_HOLE = 16 * PAGE  # Removing less saves too little.


class Segment(NamedTuple):
    """One program header."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    alignment: int


def strip_gpu_code(source: Path, target: Path) -> int:
    """Write a smaller copy of `source`; returns the bytes saved.

    Raises `ElfError` if the file has no section headers, or no space for one more program header.
    """
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = list(FILE_HEADER.unpack_from(data))
        table, count = header[5], header[10]
        kept = without_gpu_code(_read_segments(data, table, count), _gpu_code(data, tuple(header), source))
        if len(kept) > count:
            raise ElfError(f"{source} has no space for another program header, so its GPU code cannot be removed")
        packed = pack(kept)
        header[6] = header[12] = header[13] = 0  # no section headers
        header[10] = len(packed)
        with target.open("wb") as output:
            for old, new in zip(kept, packed, strict=True):
                if old.kind == PT_LOAD:
                    output.seek(new.offset)
                    output.write(data[old.offset : old.offset + old.file_size])
            output.seek(0)
            output.write(FILE_HEADER.pack(*header))
            output.seek(table)
            output.write(b"".join(PROGRAM_HEADER.pack(*segment) for segment in packed))
    return source.stat().st_size - target.stat().st_size


def without_gpu_code(segments: list[Segment], hole: tuple[int, int] | None) -> list[Segment]:
    """Return the segments in table order, with the one that contains `hole` (file offsets) split in two.

    Note segments are removed: the second half takes their place in the table, and the loader does not need torch's
    notes.
    """
    result: list[Segment] = []
    for segment in segments:
        if segment.kind == PT_LOAD and hole and segment.offset <= hole[0] < segment.offset + segment.file_size:
            result += _halves(segment, *hole)
        elif segment.kind != PT_NOTE:
            result.append(segment)
    return result


def pack(segments: list[Segment]) -> list[Segment]:
    """Close the gaps between the loaded segments in the file; each keeps its address and its offset within a page."""
    end, moved = 0, {}
    for segment in segments:
        if segment.kind == PT_LOAD:
            moved[segment] = end + (segment.address - end) % PAGE
            end = moved[segment] + segment.file_size
    return [segment._replace(offset=_new_offset(segment, moved)) for segment in segments]


def _new_offset(segment: Segment, moved: dict[Segment, int]) -> int:
    for load, offset in moved.items():
        if load.offset <= segment.offset and segment.offset + segment.file_size <= load.offset + load.file_size:
            return offset + segment.offset - load.offset
    return segment.offset  # The segment has no bytes in the file, for example GNU_STACK.


def _halves(segment: Segment, start: int, end: int) -> list[Segment]:
    first = start - segment.offset
    second = end - segment.offset
    return [
        segment._replace(file_size=first, memory_size=first),
        segment._replace(
            offset=end,
            address=segment.address + second,
            physical=segment.physical + second,
            file_size=segment.file_size - second,
            memory_size=segment.memory_size - second,
        ),
    ]


def _read_segments(data: mmap.mmap, table: int, count: int) -> list[Segment]:
    return [Segment(*PROGRAM_HEADER.unpack_from(data, table + i * PROGRAM_HEADER.size)) for i in range(count)]


def _gpu_code(data: mmap.mmap, header: tuple[int, ...], source: Path) -> tuple[int, int] | None:
    """File offsets of the whole pages of GPU code; None if removing them saves too little."""
    sections = read_sections(data, header)
    if not sections:
        raise ElfError(f"{source} has no section headers, so its GPU code cannot be located")
    names = sections[header[13]].offset
    for section in sections:
        start = names + section.name
        if data[start : data.find(b"\0", start)] == GPU_CODE:
            first, last = -(-section.offset // PAGE) * PAGE, (section.offset + section.size) // PAGE * PAGE
            return (first, last) if last - first >= SMALLEST_HOLE else None
    return None
