"""Read the dependencies and symbols of a shared library without loading it and without binutils.

Input: the path of a 64-bit little-endian shared library with section headers. Output: `SharedLibrary`: the libraries it
needs, and the symbols it defines or imports, with their versions. `cuda_stubs` calls it. The format is described in the
System V ABI, in `elf(5)`, and in the LSB chapter on symbol versions.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from triton_operator.errors import TritonOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
DYNAMIC_ENTRY = struct.Struct("<qQ")
VERSION_NEED = struct.Struct("<HHIII")
VERSION_NEED_ENTRY = struct.Struct("<IHHII")

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_GNU_STACK = 1, 2, 4, 0x6474E551
SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_VERNEED, SHT_GNU_VERSYM = 6, 11, 0x6FFFFFFE, 0x6FFFFFFF
DT_NEEDED = 1
STT_OBJECT, STB_GLOBAL = 1, 1


class ElfError(TritonOperatorError, ValueError):
    """The file is not a 64-bit little-endian ELF file with section headers; the message names it."""


class SectionHeader(NamedTuple):
    """One section header: `kind` is sh_type; `link` is the index of the section that contains its strings."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


@dataclass(frozen=True, order=True)
class Symbol:
    """A symbol that another library has to define; `library` and `version` are empty if none is recorded."""

    name: str
    version: str = ""
    library: str = ""
    is_object: bool = False


@dataclass(frozen=True)
class SharedLibrary:
    """A shared library's dependencies, and its imported and defined symbols."""

    machine: int
    needed: tuple[str, ...]
    undefined: tuple[Symbol, ...]
    defined: frozenset[str]


def read_shared_object(path: Path) -> SharedLibrary:
    """Read one library; raises `ElfError` if it has no section headers, for example because they were stripped."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = FILE_HEADER.unpack_from(data)
        sections = read_sections(data, header)
        if header[0][4:6] != b"\x02\x01" or not sections:
            message = f"{path} is not a 64-bit little-endian library with section headers"
            raise ElfError(message)
        undefined, defined = _read_symbols(data, sections)
        return SharedLibrary(header[2], tuple(_read_needed(data, sections)), tuple(undefined), frozenset(defined))


def read_sections(data: mmap.mmap, header: tuple[Any, ...]) -> list[SectionHeader]:
    """All section headers; an empty list if the file has none."""
    offset, count = header[6], header[12]
    return [SectionHeader(*SECTION_HEADER.unpack_from(data, offset + i * SECTION_HEADER.size)) for i in range(count)]


def _only(sections: list[SectionHeader], kind: int) -> SectionHeader | None:
    return next((section for section in sections if section.kind == kind), None)


def _string(data: mmap.mmap, start: int) -> str:
    return data[start : data.find(b"\0", start)].decode()


def _read_needed(data: mmap.mmap, sections: list[SectionHeader]) -> Iterator[str]:
    dynamic = _only(sections, SHT_DYNAMIC)
    if dynamic is None:
        return
    strings = sections[dynamic.link].offset
    entries = data[dynamic.offset : dynamic.offset + dynamic.size]
    for tag, value in DYNAMIC_ENTRY.iter_unpack(entries):
        if tag == DT_NEEDED:
            yield _string(data, strings + value)


def _read_symbols(data: mmap.mmap, sections: list[SectionHeader]) -> tuple[list[Symbol], list[str]]:
    table = _only(sections, SHT_DYNSYM)
    if table is None:
        return [], []
    strings = sections[table.link].offset
    versions = _read_version_indices(data, sections, table.size // SYMBOL.size)
    suppliers = _read_suppliers(data, sections)
    undefined: list[Symbol] = []
    defined: list[str] = []
    for index, (name_offset, info, _, section, _, _) in enumerate(
        SYMBOL.iter_unpack(data[table.offset : table.offset + table.size])
    ):
        name = _string(data, strings + name_offset)
        if section:
            defined.append(name)
        elif info >> 4 == STB_GLOBAL:  # A weak symbol may stay undefined.
            version, library = suppliers.get(versions[index] & 0x7FFF, ("", ""))
            undefined.append(Symbol(name, version, library, is_object=info & 0xF == STT_OBJECT))
    return undefined, defined


def _read_version_indices(data: mmap.mmap, sections: list[SectionHeader], count: int) -> tuple[int, ...]:
    table = _only(sections, SHT_GNU_VERSYM)
    return struct.unpack_from(f"<{count}H", data, table.offset) if table else (0,) * count


def _read_suppliers(data: mmap.mmap, sections: list[SectionHeader]) -> dict[int, tuple[str, str]]:
    """Version name and defining library, by version index."""
    table = _only(sections, SHT_GNU_VERNEED)
    suppliers: dict[int, tuple[str, str]] = {}
    if table is None:
        return suppliers
    strings, position = sections[table.link].offset, table.offset
    for _ in range(table.info):
        _, count, file_name, first, following = VERSION_NEED.unpack_from(data, position)
        entry = position + first
        for _ in range(count):
            _, _, index, name, step = VERSION_NEED_ENTRY.unpack_from(data, entry)
            suppliers[index] = (_string(data, strings + name), _string(data, strings + file_name))
            entry += step
        position += following
    return suppliers
