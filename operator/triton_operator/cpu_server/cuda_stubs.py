"""Write stubs of the CUDA libraries that torch links against, so that it runs on a machine without CUDA.

    python -m triton_operator.cpu_server.cuda_stubs SITE_PACKAGES

`torch` from the public package index cannot be imported without about 3 GB of `nvidia-*` wheels, although CPU code does
not call them. If it is installed with `--no-deps`, about twenty shared libraries are missing. For each, this module
writes a library of the same name to `torch/lib`, which is in torch's search path ($ORIGIN). Every function in it
returns 35, cudaErrorInsufficientDriver: `torch.cuda.is_available()` is False, and torch works on the CPU. Installed
`nvidia-*` wheels precede `torch/lib` in the search path and are not changed. A second run writes the same files.

`assemble` and `hack.environment` call this module.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.cpu_server.elf import read_shared_object
from triton_operator.cpu_server.elf_stub import MARK, RETURN_35, stub_library
from triton_operator.errors import TritonOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from triton_operator.cpu_server.elf import SharedLibrary, Symbol

NVIDIA_LIBRARIES = ("libcu", "libnv", "libnccl")
PYTHON_API = ("Py", "_Py")


class StubError(TritonOperatorError, RuntimeError):
    """The folder contains no torch that stubs can be written for; the message states the reason."""


def missing_libraries(objects: Iterable[SharedLibrary], present: Iterable[str]) -> set[str]:
    """Names of NVIDIA's libraries that are required but not present."""
    needed = {name for item in objects for name in item.needed if name.startswith(NVIDIA_LIBRARIES)}
    return needed - set(present)


def plan_stubs(objects: Iterable[SharedLibrary], missing: set[str]) -> dict[str, set[Symbol]]:
    """Return the symbols that each missing library has to define.

    A versioned symbol names its library. An unversioned symbol does not, so every unversioned missing library that its
    user links against defines it; any of them satisfies the loader.
    """
    objects = list(objects)
    plan: dict[str, set[Symbol]] = {name: set() for name in missing}
    for item in objects:
        for symbol in item.undefined:
            if symbol.library in missing:
                plan[symbol.library].add(symbol)
    unversioned = {name for name, symbols in plan.items() if not symbols}
    defined = frozenset[str]().union(*(item.defined for item in objects))
    for item in objects:
        open_symbols = {s for s in item.undefined if not s.library and s.name not in defined}
        open_symbols = {s for s in open_symbols if not s.name.startswith(PYTHON_API)}
        for library in unversioned & set(item.needed) or set(item.needed) & missing:
            plan[library] |= open_symbols
    return plan


def make_stubs(site_packages: Path, target: Path | None = None) -> dict[str, int]:
    """Write stubs to `target` (default `site_packages/torch/lib`); returns the number of symbols by library name.

    Raises `StubError` if torch is not installed there, or is built for a machine other than x86_64 and aarch64.
    """
    torch = site_packages / "torch"
    if not (torch / "lib" / "libtorch_cpu.so").exists():
        message = f"{torch} contains no torch; specify the site-packages folder in which torch is installed"
        raise StubError(message)
    present = _real_libraries([torch / "lib", site_packages / "nvidia"])
    own = [*(torch / "lib").glob("libtorch*.so"), *(torch / "lib").glob("libc*.so"), *torch.glob("_C.*.so")]
    objects = [read_shared_object(path) for path in sorted(own)]
    plan = plan_stubs(objects, missing_libraries(objects, present))
    _write(target or torch / "lib", plan, objects[0].machine)
    return {name: len(symbols) for name, symbols in sorted(plan.items())}


def _real_libraries(folders: list[Path]) -> set[str]:
    found = (path for folder in folders for path in folder.rglob("lib*.so*"))
    return {path.name for path in found if not _is_stub(path)}


def _is_stub(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(len(MARK), path.stat().st_size), os.SEEK_END)
        return file.read() == MARK


def _write(folder: Path, plan: Mapping[str, set[Symbol]], machine: int) -> None:
    if machine not in RETURN_35:
        message = f"CUDA stubs support only x86_64 and aarch64, not ELF machine {machine}"
        raise StubError(message)
    for name, symbols in plan.items():
        (folder / name).write_bytes(stub_library(name, symbols, machine))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 1 after an error message if the stubs cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m triton_operator.cpu_server.cuda_stubs", description="Write stubs of CUDA libraries."
    )
    parser.add_argument("site_packages", type=Path, help="folder that contains torch/")
    folder = parser.parse_args(arguments).site_packages
    try:
        written = make_stubs(folder)
    except StubError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {len(written)} libraries with {sum(written.values())} symbols to {folder}/torch/lib")
    return 0


if __name__ == "__main__":
    sys.exit(main())
