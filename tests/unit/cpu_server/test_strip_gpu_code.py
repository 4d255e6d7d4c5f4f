"""Taking GPU code out of a library: addresses stay, bytes go, and what is left still loads."""

from __future__ import annotations

import _ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from triton_operator.cpu_server.elf import PT_LOAD, PT_NOTE, ElfError
from triton_operator.cpu_server.strip_gpu_code import PAGE, Segment, pack, strip_gpu_code, without_gpu_code

READ = 4


def load(offset: int, size: int, address: int | None = None, memory: int | None = None) -> Segment:
    """Make a segment that is loaded."""
    at = offset if address is None else address
    return Segment(PT_LOAD, READ, offset, at, at, size, memory or size, PAGE)


NOTE = Segment(PT_NOTE, READ, 0x200, 0x200, 0x200, 0x20, 0x20, 4)


def test_a_segment_is_split_around_the_gpu_code_and_notes_make_room() -> None:
    """Both halves keep their addresses; the table does not grow."""
    before = [load(0, 0x1000), load(0x1000, 0x9000), NOTE]
    after = without_gpu_code(before, (0x3000, 0x8000))
    assert after == [load(0, 0x1000), load(0x1000, 0x2000), load(0x8000, 0x2000)]
    assert len(after) == len(before)


def test_without_gpu_code_only_notes_go() -> None:
    """A library of the CPU loses its symbol table only."""
    assert without_gpu_code([load(0, 0x1000), NOTE], None) == [load(0, 0x1000)]


def test_packing_keeps_addresses_and_their_place_in_a_page() -> None:
    """The loader maps whole pages: file offset and address must agree in their last twelve bits."""
    tls = Segment(7, READ, 0x8AE8, 0x9AE8, 0x9AE8, 0x10, 0x20, 8)
    before = [load(0, 0x1234), load(0x8AE8, 0x500, address=0x9AE8, memory=0x2000), tls]
    after = pack(before)
    assert [segment.offset for segment in after] == [0, 0x1AE8, 0x1AE8]
    assert [segment._replace(offset=0) for segment in after] == [segment._replace(offset=0) for segment in before]


def test_a_real_library_still_works(tmp_path: Path) -> None:
    """An extension module of this interpreter, without its section headers, is imported and used."""
    source = Path(_ctypes.__file__)
    target = tmp_path / source.name
    assert strip_gpu_code(source, target) == source.stat().st_size - target.stat().st_size > 0
    program = "import ctypes, _ctypes; print(ctypes.CDLL(None).abs(-5), _ctypes.__file__)"
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", str(target)]


def test_a_library_that_was_stripped_before_is_refused(tmp_path: Path) -> None:
    """Nobody can tell what in it is GPU code."""
    once = tmp_path / "once.so"
    strip_gpu_code(Path(_ctypes.__file__), once)
    with pytest.raises(ElfError, match="no section headers"):
        strip_gpu_code(once, tmp_path / "twice.so")
