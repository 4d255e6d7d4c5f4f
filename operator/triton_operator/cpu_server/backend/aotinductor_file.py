"""Load a file of AOTInductor: a library that was compiled for one kind of processor, in a zip archive.

Input: a path. Output: what runs it, and its arguments, or `LoadError`. Called by `model`. The library does not look at
the sizes that it gets: Triton holds requests against the configuration, `prepare` that one against the file's
signature. Its own checks (AOTI_RUNTIME_CHECK_INPUTS) would refuse a batch of one row, which it can do well (torch
2.15).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from archive import COMPILED, LoadError, kind_of, name_of, reason_of
from interface import Argument, Interface
from trial import Form

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_NAME = "model.pt2"
_EXPORT = "export it with tritonctl export --format aotinductor"
_MODEL = "model"  # What torch calls the only model of a file.
_CAPABILITIES = {"avx512": "avx512_f"}
"""What the compiler's instruction sets are called among a processor's capabilities, where that differs."""


class Package:
    """A compiled forward(): tensors by position in, a tensor or a tuple of them out."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        results = self._loader.run([_row_major(each) for each in arguments])
        return results[0] if len(results) == 1 else tuple(results)


def load(path: Path) -> tuple[Package, list[Argument]]:
    """Load it by libtorch's own loader: the one in Python asks for a C++ compiler. Raises `LoadError`."""
    name = name_of(path)
    kind = kind_of(path, COMPILED)
    if kind != COMPILED:
        raise LoadError(f"{name} is {kind}, not {COMPILED}: {_EXPORT}")
    package = torch._C._aoti.AOTIModelPackageLoader  # noqa: SLF001
    try:
        _make_sure_it_runs_here(name, package.load_metadata_from_package(str(path), _MODEL))
        loader = package(str(path), _MODEL, False, 1, -1)  # One runner, on any device.
        inputs, _ = loader.get_call_spec()
    except RuntimeError as error:
        raise LoadError(f"{name} cannot be loaded by torch {torch.__version__}: {reason_of(error, 0)}") from error
    return Package(loader), [Argument(str(index)) for index in range(_leaves(json.loads(inputs)[1]))]


def why_alone(package: Package, interface: Interface) -> str:
    """Say nothing: the compiler fixed for every output which sizes come from which input."""
    del package, interface
    return ""


def forms(package: Package) -> list[Form]:
    """Give none: all of that was done when it was compiled."""
    del package
    return []


def _make_sure_it_runs_here(name: str, metadata: dict[str, str]) -> None:
    """An instruction that the processor does not have would end the process without a word."""
    here = torch.cpu.get_capabilities()
    wanted = metadata.get("AOTI_CPU_ISA", "").lower().split()
    missing = [word for word in wanted if here.get(_CAPABILITIES.get(word, word)) is False]
    if missing:
        raise LoadError(
            f"{name} was compiled for a processor with {', '.join(missing)}, which this one lacks: {_EXPORT} here"
        )


def _leaves(spec: dict[str, Any]) -> int:
    """Count the tensors of a nested structure as torch.utils._pytree writes it."""
    return sum(map(_leaves, spec["children_spec"])) if spec["type"] else 1


def _row_major(tensor: torch.Tensor) -> torch.Tensor:
    """With the strides that it was compiled for; where a size is 1 torch cares for none, and the library does."""
    return tensor.contiguous().view(-1).view(tensor.shape)
