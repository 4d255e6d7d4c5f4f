"""Scan the folder of a model: every file that the server can reach from it.

Input: a folder. Output: findings, in the order of the files. The content of a file decides how it is scanned, because a
configuration can give any name to a model's file. `prepare` scans the folder that Triton reads.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from triton_operator.api.scan import FindingKind, ScanFinding
from triton_operator.scan.archive import scan_file
from triton_operator.scan.pickles import PICKLE_LIMIT, check_pickle
from triton_operator.triton.model_file.archive import has_archive

MOST_PER_FILE = 100
"""Maximum number of findings of one file; the last one then says that there are more."""

_ZIP = b"PK\3\4"
_FLATBUFFER, _FLATBUFFER_AT = b"PTMF", 4
_NATIVE = b"\x7fELF"
"""The first bytes of programs and libraries."""

_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_PICKLE_NAMES = frozenset([".pkl", ".pickle", ".joblib"])
_PYTHON_NAMES = frozenset([".py", ".pyc", ".pyd", ".pyz"])
_PRINTABLE = frozenset(string.printable.encode())
_MODEL_NAMES = frozenset([".pt", ".pth", ".pt2", ".ts", ".torchscript"])


def scan_files(files: Iterable[tuple[str, Path]]) -> Iterator[ScanFinding]:
    """Scan files, given by their names for the findings and their paths; raises OSError."""
    python: list[str] = []
    native: list[str] = []
    for name, path in files:
        with path.open("rb") as opened:
            start = opened.read(512)
            opened.seek(0)
            if PurePosixPath(name).suffix.lower() in _PYTHON_NAMES:
                python.append(name)
            elif start.startswith(_NATIVE):
                native.append(name)
            yield from _first(_scan(opened, name, start), name)
    yield from _unrestricted(python, "Python")
    yield from _unrestricted(native, "native")


def _scan(opened: BinaryIO, name: str, start: bytes) -> Iterator[ScanFinding]:
    """Scan one file; torch finds an archive at the end of any file, whatever its start and its name are."""
    if start.startswith(_ZIP):
        yield from scan_file(opened, name)
        return
    if has_archive(opened):
        yield ScanFinding(FindingKind.ARCHIVE, name, "", "has data before the archive")
    suffix = PurePosixPath(name).suffix.lower()
    if start[_FLATBUFFER_AT:].startswith(_FLATBUFFER):
        yield ScanFinding(FindingKind.ARCHIVE, name, "", "is a flatbuffer of torch, which the scan cannot read")
    elif start.startswith(_PICKLE_STARTS) or suffix in _PICKLE_NAMES:
        opened.seek(0)
        yield from _scan_pickle(opened, name)
    elif suffix in _MODEL_NAMES and not _PRINTABLE.issuperset(start):
        yield ScanFinding(FindingKind.ARCHIVE, name, "", "is a file of unknown format, which the scan cannot read")


def _scan_pickle(opened: BinaryIO, name: str) -> Iterator[ScanFinding]:
    data = opened.read(PICKLE_LIMIT + 1)
    if len(data) > PICKLE_LIMIT:
        message = f"is a pickle of more than {PICKLE_LIMIT:,} bytes; only its start is scanned"
        yield ScanFinding(FindingKind.SIZE, name, "", message)
    for message in check_pickle(data[:PICKLE_LIMIT]):
        yield ScanFinding(FindingKind.PICKLED_TYPE, name, "", message)


def _unrestricted(names: list[str], kind: str) -> Iterator[ScanFinding]:
    """One finding for all files of this kind."""
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        message = f"{kind} code, which can do anything and is not scanned"
        yield ScanFinding(FindingKind.UNRESTRICTED_CODE, names[0] + more, "", message)


def _first(findings: Iterator[ScanFinding], name: str) -> Iterator[ScanFinding]:
    yield from itertools.islice(findings, MOST_PER_FILE)
    if next(findings, None):
        yield ScanFinding(FindingKind.SIZE, name, "", f"has more than {MOST_PER_FILE} findings")
