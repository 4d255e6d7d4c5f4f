"""Write a shared library in which every function returns the same number, without a compiler or linker.

Input: a library name and the symbols to define. Output: the bytes of an ELF file that the dynamic loader accepts.
`cuda_stubs` calls it. All functions share one body and all objects one zeroed page, because no code uses their values.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from triton_operator.cpu_server.elf import (
    DYNAMIC_ENTRY,
    FILE_HEADER,
    PROGRAM_HEADER,
    PT_DYNAMIC,
    PT_GNU_STACK,
    PT_LOAD,
    SYMBOL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triton_operator.cpu_server.elf import Symbol

X86_64, AARCH64 = 62, 183
# `return 35` (cudaErrorInsufficientDriver): mov eax, 35; ret  /  mov w0, #35; ret
RETURN_35 = {X86_64: bytes.fromhex("b823000000c3"), AARCH64: bytes.fromhex("60048052c0035fd6")}

PAGE = 0x10000  # the largest page size in use, so that one layout fits both machines
ZEROS = 0x1000
READ_EXECUTE, READ_WRITE = 5, 6
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_SONAME = 4, 5, 6, 10, 11, 14
DT_VERSYM, DT_VERDEF, DT_VERDEFNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
GLOBAL_FUNCTION, GLOBAL_OBJECT = 0x12, 0x11
MARK = b"stand-in of triton-operator\0"  # Ends every stub. Do not change it: it identifies existing stubs.
HEADERS = FILE_HEADER.size + 4 * PROGRAM_HEADER.size


class Strings:
    """A string table under construction."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._offsets: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        """Return the offset of the text; add the text if the table does not contain it."""
        if text not in self._offsets:
            self._offsets[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self._offsets[text]


def stub_library(name: str, symbols: Iterable[Symbol], machine: int = X86_64) -> bytes:
    """Build a library called `name` that defines the symbols with their versions.

    Raises `KeyError` for a machine other than x86_64 or aarch64.
    """
    ordered = sorted(symbols)
    versions = [name, *sorted({symbol.version for symbol in ordered} - {"", name})]
    if any(symbol.version == name for symbol in ordered):
        versions.append(name)  # NVIDIA's version node has the library's name, in addition to the base entry.
    strings = Strings()
    body = RETURN_35[machine]
    image = ElfImage()
    hash_at = image.append(_hash_table([symbol.name for symbol in ordered]))
    names = [strings.add(symbol.name) for symbol in ordered]
    symbols_at = image.append(b"\0" * SYMBOL.size * (len(ordered) + 1))
    versions_at = image.append(_version_indices(ordered, versions))
    definitions_at = image.append(_version_definitions(versions, strings))
    own_name = strings.add(name)
    strings_at = image.append(bytes(strings.data))
    text_at = image.append(body)
    dynamic_at = image.align(16) + PAGE
    dynamic = [(DT_SONAME, own_name), (DT_HASH, hash_at), (DT_STRTAB, strings_at), (DT_STRSZ, len(strings.data))]
    dynamic += [(DT_SYMTAB, symbols_at), (DT_SYMENT, SYMBOL.size), (DT_VERSYM, versions_at)]
    dynamic += [(DT_VERDEF, definitions_at), (DT_VERDEFNUM, len(versions)), (0, 0)]
    zeros_at = dynamic_at + len(dynamic) * DYNAMIC_ENTRY.size
    table = bytearray(SYMBOL.size)
    for symbol, name_at in zip(ordered, names, strict=True):
        table += _symbol_entry(symbol, name_at, text_at, len(body), zeros_at)
    image.put(symbols_at, bytes(table))
    return image.finish(machine, b"".join(DYNAMIC_ENTRY.pack(*entry) for entry in dynamic))


class ElfImage:
    """The read-only part of the file, appended part by part; its addresses equal its file offsets."""

    def __init__(self) -> None:
        self.data = bytearray(HEADERS)

    def align(self, size: int) -> int:
        """Pad to a multiple of `size`; returns the resulting offset."""
        self.data += bytes(-len(self.data) % size)
        return len(self.data)

    def append(self, part: bytes) -> int:
        """Append a part with 8-byte alignment; returns its offset."""
        offset = self.align(8)
        self.data += part
        return offset

    def put(self, offset: int, part: bytes) -> None:
        """Overwrite a part whose content was not known when its space was reserved."""
        self.data[offset : offset + len(part)] = part

    def finish(self, machine: int, dynamic: bytes) -> bytes:
        """Add the headers and the writable segment: the dynamic section, and the zeroed page, which is not stored."""
        size = self.align(16)
        identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        header = FILE_HEADER.pack(identity, 3, machine, 1, 0, FILE_HEADER.size, 0, 0, 64, 56, 4, 64, 0, 0)
        at, length = size + PAGE, len(dynamic)
        segments = (
            (PT_LOAD, READ_EXECUTE, 0, 0, 0, size, size, PAGE),
            (PT_LOAD, READ_WRITE, size, at, at, length, length + ZEROS, PAGE),
            (PT_DYNAMIC, READ_WRITE, size, at, at, length, length, 8),
            (PT_GNU_STACK, READ_WRITE, 0, 0, 0, 0, 0, 16),
        )
        self.put(0, header + b"".join(PROGRAM_HEADER.pack(*segment) for segment in segments))
        return bytes(self.data) + dynamic + MARK


def _symbol_entry(symbol: Symbol, name_at: int, text_at: int, text_size: int, zeros_at: int) -> bytes:
    if symbol.is_object:
        return SYMBOL.pack(name_at, GLOBAL_OBJECT, 0, 2, zeros_at, ZEROS)
    return SYMBOL.pack(name_at, GLOBAL_FUNCTION, 0, 1, text_at, text_size)


def elf_hash(name: str) -> int:
    """The hash function of the System V ABI; 32 bits."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value


def _hash_table(names: list[str]) -> bytes:
    buckets, chains = [0] * max(1, len(names)), [0] * (len(names) + 1)
    for index, name in enumerate(names, start=1):
        bucket = elf_hash(name) % len(buckets)
        chains[index], buckets[bucket] = buckets[bucket], index
    return struct.pack(f"<{2 + len(buckets) + len(chains)}I", len(buckets), len(chains), *buckets, *chains)


def _version_indices(symbols: list[Symbol], versions: list[str]) -> bytes:
    # Index 1 is the base version. A version with the library's name is the second entry of that name.
    index_of = {version: index for index, version in enumerate(versions, start=1) if index > 1}
    indices = [index_of.get(symbol.version, 1) for symbol in symbols]
    return struct.pack(f"<{len(indices) + 1}H", 0, *indices)


def _version_definitions(versions: list[str], strings: Strings) -> bytes:
    result = bytearray()
    for index, version in enumerate(versions, start=1):
        following = 28 if index < len(versions) else 0
        result += struct.pack("<HHHHIII", 1, int(index == 1), index, 1, elf_hash(version), 20, following)
        result += struct.pack("<II", strings.add(version), 0)
    return bytes(result)
