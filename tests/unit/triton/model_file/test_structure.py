"""Traits of archives because of which two readers could see different content."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile

import pytest

from tests.archives import a_model_file, an_archive
from tests.paths import ROOT
from triton_operator.triton.model_file.archive import Archive
from triton_operator.triton.model_file.structure import check_structure

GOOD = a_model_file()
FIRST = b"archive/data.pkl"


def traits(content: bytes) -> list[str]:
    return [f"{trait.entry} {trait.message}" for trait in check_structure(Archive(io.BytesIO(content)))]


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def central(content: bytes, name: bytes = FIRST) -> int:
    """The position of a member's record in the table of contents."""
    return content.rindex(name) - 46


def with_names(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("archive/data.pkl", "archive/code/a.py", "archive/constants.pkl", *names):
            archive.writestr(name, b"N.")
    return buffer.getvalue()


def with_mode(mode: int) -> bytes:
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("archive/link")
        info.external_attr = mode << 16
        archive.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def with_gap() -> bytes:
    """Eight bytes between the members and the table of contents, whose place in the end record is adapted."""
    at = GOOD.index(b"PK\1\2")
    end = len(GOOD) - 22
    moved = GOOD[:at] + b"hidden!!" + GOOD[at:]
    return patched(moved, end + 8 + 16, struct.pack("<L", at + 8))


def with_locator(located: int = 0, disk: int = 0) -> bytes:
    """An archive with a larger end record, whose locator is wrong by `located` bytes."""
    end = len(GOOD) - 22
    count, size, start = struct.unpack_from("<HLL", GOOD, end + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, disk, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end + located, 1)
    return GOOD[:end] + record + locator + GOOD[end:]


def with_comment(name: str) -> bytes:
    """An archive with a locator at the end of its table of contents, as the comment of a member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.comment = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
        archive.writestr(info, b"N.")
    return buffer.getvalue()


BAD = {
    "data before": (b"#!/bin/sh\n" + GOOD, "has data before the archive"),
    "data after": (GOOD + b"more", "has data or a comment after the archive"),
    "a comment": (patched(GOOD, len(GOOD) - 2, b"\4\0") + b"more", "has data or a comment after the archive"),
    "a locator of another end record": (with_locator(located=-1), "has an unusual end record"),
    "an end record of another disk": (with_locator(disk=1), "has an unusual end record"),
    "a locator in a short comment": (with_comment("a/b"), "has an unusual end record"),
    "a locator in a comment": (with_comment("archive/data.pkl"), "has an unusual end record"),
    "a gap": (with_gap(), "has 8 bytes before the table of contents that belong to no member"),
    "an overlap": (
        patched(GOOD, central(GOOD, b"archive/constants.pkl") + 42, struct.pack("<L", 0)),
        "overlaps archive/data.pkl",
    ),
    "another name in the header": (patched(GOOD, 30, b"archive/DATA.pkl"), "has another name in its header"),
    "another size in the header": (patched(GOOD, 22, b"\x09"), "has another size or checksum in its header"),
    "another method in the header": (patched(GOOD, 8, b"\x08"), "has other flags or another compression method"),
    "no header": (patched(GOOD, 0, b"PK\3\5"), "has no header where the table of contents says"),
    "a name twice": (with_names("archive/data.pkl"), "archive/data.pkl occurs more than once"),
    "a name in another case": (with_names("archive/CODE/a.py"), "archive/CODE/a.py occurs more than once"),
    "another folder": (with_names("other/x"), "other/x is outside of the archive's folder archive/"),
    "the folder in another case": (with_names("ARCHIVE/x"), "is outside of the archive's folder"),
    "a parent folder": (with_names("archive/../../x"), "has a name that leaves the archive"),
    "an absolute name": (with_names("/etc/x"), "has a name that leaves the archive"),
    "a backslash": (with_names("archive/..\\x"), "has control characters or backslashes"),
    "a NUL": (with_names("archive/xy").replace(b"archive/xy", b"archive/x\0"), "has control characters"),
    "a link": (with_mode(0o120777), "archive/link is a symbolic link"),
    "a device": (with_mode(0o020666), "archive/link is neither a file nor a folder"),
    "encryption": (patched(GOOD, central(GOOD) + 8, b"\1"), "is encrypted"),
    "another compression": (an_archive(("a", b"x"), compression=zipfile.ZIP_BZIP2), "a compression method that torch"),
    "two sizes": (patched(GOOD, central(GOOD) + 24, b"\x09"), "is not compressed, but its two sizes differ"),
    "a bomb": (
        an_archive(("data/0", bytes(64 << 20)), compression=zipfile.ZIP_DEFLATED),
        "expands from",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_every_trait_is_found(case: str) -> None:
    content, words = BAD[case]
    assert any(words in trait for trait in traits(content)), traits(content)


def test_archives_of_torch_and_of_python_have_no_trait() -> None:
    assert traits(GOOD) == []
    assert traits(with_locator()) == []
    models = list(ROOT.glob("model_repository/*/1/model.pt"))
    assert len(models) >= 9
    for path in models:
        assert traits(path.read_bytes()) == []
