"""Scan one archive: its structure, the code and the pickles in it, and the native code that it contains.

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

_NATIVE = (".so", ".dll", ".dylib", ".cubin", ".hsaco", ".o", ".a", ".cpp", ".cu")
_COMPILED = "data/aotinductor/"
"""torch compiles sources in this folder of an AOTInductor package with the command that the package contains."""

_PYTHON = (".py", ".pyc", ".pyd", ".whl")
_OLDEST_FORMAT = "model.json"
"""Names the files with code, which can then be anywhere; only some builds of torch can read this format."""


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
    yield from _find_oldest_format(archive, file)


def _scan_pickles(archive: Archive, file: str) -> Iterator[ScanFinding]:
    """All of them, also those outside of the archive's folder, which readers other than torch see."""
    left = ALL_PICKLES_LIMIT
    for member in archive.members:
        name = archive.path_of(member)
        if not name.lower().endswith(("pkl", ".pickle", ".joblib")):
            continue
        limit = min(PICKLE_LIMIT, left)
        try:
            data = archive.read_member(member, limit + 1)
        except ArchiveError as problem:
            yield ScanFinding(FindingKind.ARCHIVE, file, name, str(problem))
            continue
        if len(data) > limit:
            yield ScanFinding(FindingKind.SIZE, file, name, f"has more than {limit} bytes")
            continue
        left -= len(data)
        for message in check_pickle(data):
            yield ScanFinding(FindingKind.PICKLED_TYPE, file, name, message)


def _find_unrestricted(archive: Archive, file: str) -> Iterator[ScanFinding]:
    """Native and Python code in the archive: one finding for all of it."""
    names = [archive.path_of(member) for member in archive.members]
    for found, kind in (
        ([name for name in names if _is_native(name.lower())], "native"),
        ([name for name in names if _is_python(name.lower())], "Python"),
    ):
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield ScanFinding(FindingKind.UNRESTRICTED_CODE, file, found[0], f"{kind} code, which is not scanned{more}")


def _is_native(name: str) -> bool:
    return name.endswith(_NATIVE) or ".so." in name or _COMPILED in name


def _is_python(name: str) -> bool:
    """Whether Python would import it; TorchScript code has the same extension, and is scanned."""
    return name.endswith(_PYTHON) and not (name.startswith("code/") and name.endswith(".py"))


def _find_oldest_format(archive: Archive, file: str) -> Iterator[ScanFinding]:
    for name in archive.names:
        if name.lower() == _OLDEST_FORMAT:
            message = "is the format of torch 1.0, in which the scan cannot find the code; export the model again"
            yield ScanFinding(FindingKind.ARCHIVE, file, name, message)
