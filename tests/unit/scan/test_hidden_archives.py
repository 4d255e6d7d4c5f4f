"""Archives that torch loads are found in files of any type and name, and behind other archives."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
import torch

from tests.archives import after, with_statements
from tests.paths import ROOT
from triton_operator.scan.folder import scan_files

MODEL = (ROOT / "model_repository" / "linear_regression" / "1" / "model.pt").read_bytes()
PLANTED = with_statements(MODEL, '_9 = torch.save(0, "/dev/null")')
END = 22


def in_a_pickle() -> bytes:
    """A valid pickle of one `bytes`, which is the archive."""
    content = after(bytes(7), PLANTED, b".")[7:]
    return b"\x80\x03B" + struct.pack("<L", len(content) - 1) + content


def in_a_member() -> bytes:
    """The archive as data of another one, whose locator leads to the end record of the inner one."""
    size, room = len(PLANTED), 56
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, zipfile.ZipFile(io.BytesIO(MODEL)) as model:
        for name in model.namelist():
            archive.writestr(name, model.read(name))
        archive.writestr("archive/data/99", bytes(size - END + room))
    outer = bytearray(buffer.getvalue())
    header = outer.index(b"archive/data/99") - 30
    record, end = outer.rindex(b"archive/data/99") - 46, len(outer) - END
    at = header + 30 + len(b"archive/data/99")
    inner = after(bytes(at), PLANTED)[at:]
    content = inner[:-END] + larger_end(inner, at + size - END, at + PLANTED.index(b"PK\1\2"))
    outer[at : at + len(content)] = content
    for place in (header + 14, record + 16):
        struct.pack_into("<L", outer, place, zlib.crc32(content))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + size - END, 1)
    start = struct.unpack_from("<L", outer, end + 16)[0]
    return bytes(outer[:end]) + larger_end(bytes(outer), end, start) + locator + bytes(outer[end:])


def larger_end(archive: bytes, end: int, start: int) -> bytes:
    """The larger form of the last record of an archive: the table of contents is from `start` to `end`."""
    (count,) = struct.unpack_from("<H", archive, len(archive) - END + 10)
    return struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, end - start, start)


FILES = {
    "after an unknown start": ("model.bin", after(b"\0\1", PLANTED)),
    "after text": ("labels.txt", after(b"# labels\n", PLANTED)),
    "after text, with a comment that Python does not understand": ("labels.txt", after(b"#\n", PLANTED, b"PK\5\6")),
    "as a library": ("libtriton_x.so", after(b"\x7fELF", PLANTED)),
    "as Python": ("model.py", after(b"#\n", PLANTED)),
    "as a whole file with the name of Python": ("model.py", PLANTED),
    "in a pickle": ("model.pt", in_a_pickle()),
    "in a member of another archive": ("model.pt", in_a_member()),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:FutureWarning")
@pytest.mark.parametrize("case", FILES)
def test_an_archive_that_torch_loads_is_found(tmp_path: Path, case: str) -> None:
    """A signature does not excuse these findings, but would excuse that there is Python or native code."""
    name, content = FILES[case]
    module = torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]
    assert "aten::save" in str(module.inlined_graph)
    path = tmp_path / name
    path.write_bytes(content)
    assert {found.kind for found in scan_files([(name, path)])} & {"Archive", "Operator"}


@pytest.mark.parametrize("content", [b"\x7fELF", b"#\n", b"\x80\x04N."])
def test_the_mark_of_an_end_without_an_archive_is_no_finding(tmp_path: Path, content: bytes) -> None:
    """Libraries that read archives contain the mark."""
    path = tmp_path / "x"
    path.write_bytes(content[:-1] + b"PK\5\6" + bytes(40) + content[-1:])
    assert "Archive" not in {found.kind for found in scan_files([("x", path)])}
