"""Stand-ins for CUDA libraries: what gets planned, and that the dynamic loader accepts what gets written."""

from __future__ import annotations

import _ctypes
import ctypes
import platform
import sys
import sysconfig
from pathlib import Path

import pytest

from triton_operator.cpu_server import cuda_stubs
from triton_operator.cpu_server.elf import ElfError, SharedLibrary, Symbol, read_shared_object
from triton_operator.cpu_server.elf_stub import AARCH64, X86_64, elf_hash, stub_library

MACHINE = {"x86_64": X86_64, "aarch64": AARCH64}.get(platform.machine())
needs_loader = pytest.mark.skipif(MACHINE is None or sys.platform != "linux", reason="ELF stubs are for Linux")


def torch_library(*symbols: Symbol, needed: tuple[str, ...], defined: frozenset[str] = frozenset()) -> SharedLibrary:
    """Describe a library of torch as `read_shared_object` would."""
    return SharedLibrary(X86_64, needed, symbols, defined)


def write_stub(folder: Path, name: str, *symbols: Symbol) -> Path:
    """Write a stub for this machine."""
    path = folder / name
    path.write_bytes(stub_library(name, symbols, MACHINE or X86_64))
    return path


@needs_loader
def test_a_stub_loads_and_every_function_answers_35(tmp_path: Path) -> None:
    """The loader accepts the file; 35 is cudaErrorInsufficientDriver."""
    names = [f"cudaFunction{index}" for index in range(300)]
    library = ctypes.CDLL(str(write_stub(tmp_path, "libcudart.so.13", *map(Symbol, names))))
    assert {library[name]() for name in names} == {35}


@needs_loader
def test_a_stub_offers_objects_as_zeros(tmp_path: Path) -> None:
    """A data symbol lies in a readable zeroed page."""
    library = ctypes.CDLL(str(write_stub(tmp_path, "libnvshmem.so.3", Symbol("state", is_object=True))))
    assert ctypes.c_uint64.in_dll(library, "state").value == 0


@needs_loader
def test_a_stub_defines_a_symbol_under_its_version_only(tmp_path: Path) -> None:
    """The version node may be called like the library, as NVIDIA does."""
    name = "libcublas.so.13"
    library = ctypes.CDLL(str(write_stub(tmp_path, name, Symbol("gemm", name), Symbol("other", "NODE_2"))))
    dlvsym = ctypes.CDLL(None).dlvsym
    dlvsym.restype, dlvsym.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    symbols = {
        (symbol, version): bool(dlvsym(library._handle, symbol, version))
        for symbol in (b"gemm", b"other")
        for version in (name.encode(), b"NODE_2")
    }
    assert [key for key, there in symbols.items() if there] == [(b"gemm", name.encode()), (b"other", b"NODE_2")]


@needs_loader
def test_an_empty_stub_loads(tmp_path: Path) -> None:
    """A library may be needed by name alone."""
    library = ctypes.CDLL(str(write_stub(tmp_path, "libcuda.so.1")))
    _ctypes.dlclose(library._handle)


def test_the_hash_is_the_one_of_the_system_v_abi() -> None:
    """Known values: `printf` from the ABI's own example tables, and the version nodes of glibc."""
    assert (elf_hash("printf"), elf_hash("GLIBC_2.2.5")) == (0x077905A6, 0x09691A75)


def test_reading_a_real_library_finds_its_needs() -> None:
    """An extension module of this interpreter: it needs libc, leaves Python's API open and defines its entry point."""
    module = Path(_ctypes.__file__)
    read = read_shared_object(module)
    assert "libc.so.6" in read.needed
    assert "PyInit__ctypes" in read.defined
    assert any(symbol.name == "PyErr_SetString" for symbol in read.undefined)
    assert any(symbol.library == "libc.so.6" and symbol.version.startswith("GLIBC_") for symbol in read.undefined)


def test_a_file_that_is_no_library_is_refused_by_name(tmp_path: Path) -> None:
    """The message says which file."""
    path = tmp_path / "libtorch_cpu.so"
    path.write_bytes(b"\x7fELF".ljust(200, b"\0"))
    with pytest.raises(ElfError, match=str(path)):
        read_shared_object(path)


def test_only_absent_nvidia_libraries_are_missing() -> None:
    """Glibc is the system's business; what is present stays."""
    item = torch_library(needed=("libc.so.6", "libcudart.so.13", "libnccl.so.2"))
    assert cuda_stubs.missing_libraries([item], {"libnccl.so.2"}) == {"libcudart.so.13"}


def test_a_versioned_symbol_goes_to_its_library_and_an_unversioned_one_to_one_without_versions() -> None:
    """An unversioned symbol cannot be matched to a library, so it must not land in one that has versions."""
    malloc = Symbol("cudaMalloc", "libcudart.so.13", "libcudart.so.13")
    item = torch_library(malloc, Symbol("ncclSend"), needed=("libcudart.so.13", "libnccl.so.2"))
    plan = cuda_stubs.plan_stubs([item], {"libcudart.so.13", "libnccl.so.2"})
    assert plan == {"libcudart.so.13": {malloc}, "libnccl.so.2": {Symbol("ncclSend")}}


def test_symbols_of_torch_itself_and_of_python_are_not_planned() -> None:
    """They are defined elsewhere: a stub of them would hide the real ones."""
    user = torch_library(Symbol("c10_init"), Symbol("PyList_New"), Symbol("cuFileRead"), needed=("libcufile.so.0",))
    owner = torch_library(needed=(), defined=frozenset({"c10_init"}))
    assert cuda_stubs.plan_stubs([user, owner], {"libcufile.so.0"}) == {"libcufile.so.0": {Symbol("cuFileRead")}}


def test_a_folder_without_torch_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says which folder it wants."""
    assert cuda_stubs.main([str(tmp_path)]) == 1
    assert f"{tmp_path / 'torch'} contains no torch" in capsys.readouterr().err


def test_this_interpreters_libraries_can_all_be_read() -> None:
    """A sweep over many real files, so that an unusual table does not go unnoticed."""
    modules = sorted(Path(sysconfig.get_path("platstdlib"), "lib-dynload").glob("*.so"))
    assert all(read_shared_object(path).defined for path in modules)
