"""Let PyPI's CUDA build of torch run on a machine without CUDA: stand-ins for the libraries it links against.

    python -m triton_operator.cpu_server.cuda_stubs SITE_PACKAGES

PyPI's `torch` does not import without about 3 GB of `nvidia-*` wheels, although nothing on a CPU calls them. Installed
with `--no-deps`, it lacks some twenty shared libraries. For each, this writes a library of the same name into
`torch/lib`, where torch's own search path ($ORIGIN) finds it, in which every function answers 35,
cudaErrorInsufficientDriver. `torch.cuda.is_available()` is then False and everything on the CPU works. Real `nvidia-*`
wheels come earlier in the search path and are left alone. A second run writes the same files again.

Called when the CPU Triton is laid out and by whoever makes a virtual environment for training.
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

    from triton_operator.cpu_server.elf import SharedObject, Symbol

NVIDIA_LIBRARIES = ("libcu", "libnv", "libnccl")
PYTHON_API = ("Py", "_Py")


class StubError(TritonOperatorError, RuntimeError):
    """The folder is not an installed torch that can be completed; the message says why."""


def missing_libraries(objects: Iterable[SharedObject], present: Iterable[str]) -> set[str]:
    """Names of NVIDIA's libraries that are asked for and not there."""
    needed = {name for item in objects for name in item.needed if name.startswith(NVIDIA_LIBRARIES)}
    return needed - set(present)


def plan_stubs(objects: Iterable[SharedObject], missing: set[str]) -> dict[str, set[Symbol]]:
    """Which symbols each missing library has to define.

    A versioned symbol names its library. An unversioned one does not: it goes into every missing library of its user
    that has no versions, because any of them satisfies the loader.
    """
    objects = list(objects)
    plan: dict[str, set[Symbol]] = {name: set() for name in missing}
    for item in objects:
        for symbol in item.undefined:
            if symbol.library in missing:
                plan[symbol.library].add(symbol)
    homes = {name for name, symbols in plan.items() if not symbols}
    defined = frozenset[str]().union(*(item.defined for item in objects))
    for item in objects:
        open_symbols = {s for s in item.undefined if not s.library and s.name not in defined}
        open_symbols = {s for s in open_symbols if not s.name.startswith(PYTHON_API)}
        for home in homes & set(item.needed) or set(item.needed) & missing:
            plan[home] |= open_symbols
    return plan


def make_stubs(site_packages: Path, target: Path | None = None) -> dict[str, int]:
    """Write what is missing into `target` (default `site_packages/torch/lib`); library name -> number of its symbols.

    Raises `StubError` when there is no torch, or one for a machine other than x86_64 and aarch64.
    """
    torch = site_packages / "torch"
    if not (torch / "lib" / "libtorch_cpu.so").exists():
        message = f"{torch} holds no torch: give the site-packages folder in which torch is installed"
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
        message = f"stand-ins for CUDA exist for x86_64 and aarch64 only, not for ELF machine {machine}"
        raise StubError(message)
    for name, symbols in plan.items():
        (folder / name).write_bytes(stub_library(name, symbols, machine))


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 with one sentence when the folder does not fit."""
    parser = argparse.ArgumentParser(
        prog="python -m triton_operator.cpu_server.cuda_stubs", description="Stand-ins for CUDA libraries."
    )
    parser.add_argument("site_packages", type=Path, help="the folder that contains torch/")
    folder = parser.parse_args(arguments).site_packages
    try:
        made = make_stubs(folder)
    except StubError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(made)} libraries with {sum(made.values())} symbols written to {folder}/torch/lib")
    return 0


if __name__ == "__main__":
    sys.exit(main())
