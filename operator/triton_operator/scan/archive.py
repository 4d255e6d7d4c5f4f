"""Scan one archive: its structure, the code and the pickles in it, and the native code that it brings along.

Input: an open file and its name for the findings. Output: findings. Tensors are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from triton_operator.api.scan import FindingKind, ScanFinding
from triton_operator.scan.code import check_text, read_code
from triton_operator.scan.pickles import ALL_PICKLES_LIMIT, PICKLE_LIMIT, check_pickle
from triton_operator.triton.model_file.archive import Archive, ArchiveError
from triton_operator.triton.model_file.structure import check_structure

_NATIVE = (".so", ".dll", ".dylib", ".cubin", ".hsaco", ".o", ".a")
_PYTHON = (".py", ".pyc", ".pyd", ".whl")


def scan_file(opened: BinaryIO, file: str) -> Iterator[ScanFinding]:
    """Scan a file that is an archive."""
    try:
        archive = Archive(opened)
    except ArchiveError as problem:
        yield ScanFinding(FindingKind.ARCHIVE, file, "", str(problem))
        return
    yield from scan_code(archive, file)
    yield from scan_archive(archive, file)


def scan_code(archive: Archive, file: str) -> Iterator[ScanFinding]:
    """Scan the TorchScript code in an archive."""
    for code in read_code(archive):
        if code.problem:
            yield ScanFinding(FindingKind.SIZE, file, code.name, code.problem)
        for found in check_text(code.text):
            yield ScanFinding(FindingKind.OPERATOR, file, code.name, f"line {found.line}: {found.message}")


def scan_archive(archive: Archive, file: str) -> Iterator[ScanFinding]:
    """Scan everything in an archive but its TorchScript code."""
    try:
        for trait in check_structure(archive):
            kind = FindingKind.SIZE if trait.is_size else FindingKind.ARCHIVE
            yield ScanFinding(kind, file, trait.entry, trait.message)
    except ArchiveError as problem:
        yield ScanFinding(FindingKind.ARCHIVE, file, "", str(problem))
    yield from _scan_pickles(archive, file)
    yield from _find_unrestricted(archive, file)


def _scan_pickles(archive: Archive, file: str) -> Iterator[ScanFinding]:
    left = ALL_PICKLES_LIMIT
    for name in archive.names:
        if not name.lower().endswith(("pkl", ".pickle", ".joblib")):
            continue
        try:
            data = archive.read(name, min(PICKLE_LIMIT, left)) or b""
        except ArchiveError as problem:
            yield ScanFinding(FindingKind.SIZE, file, name, str(problem))
            continue
        left -= len(data)
        for message in check_pickle(data):
            yield ScanFinding(FindingKind.PICKLED_TYPE, file, name, message)


def _find_unrestricted(archive: Archive, file: str) -> Iterator[ScanFinding]:
    """Native and Python code in the archive: one finding for all of it."""
    native = [name for name in archive.names if name.lower().endswith(_NATIVE) or ".so." in name.lower()]
    python = [n for n in archive.names if n.lower().endswith(_PYTHON) and not n.lower().startswith("code/")]
    for names, kind in ((native, "native"), (python, "Python")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield ScanFinding(FindingKind.UNRESTRICTED_CODE, file, names[0], f"{kind} code, which is not scanned{more}")
