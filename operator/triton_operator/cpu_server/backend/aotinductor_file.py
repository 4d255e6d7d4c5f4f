"""Load a file of AOTInductor: a zip archive with a library compiled for one kind of processor.

Input: a path. Output: a callable and its arguments, or `LoadError`. `model` calls it. The library does not check the
sizes of its inputs: Triton checks requests against the configuration, and `prepare` checks the configuration against
the file's signature. The library's own checks (AOTI_RUNTIME_CHECK_INPUTS) would reject a batch of one row, which works
(torch 2.15).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from archive import COMPILED, LoadError, detect_kind, name_of, reason_of
from interface import Argument, Interface
from trial import Form

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_NAME = "model.pt2"
_EXPORT = "export it with tritonctl export --format aotinductor"
_MODEL = "model"  # The name that torch gives to the only model of a file.
_CAPABILITIES = {"avx512": "avx512_f"}
"""Processor capability by the compiler's name of an instruction set, if the names differ."""


class CompiledModule:
    """A compiled forward(): takes positional tensors, and returns a tensor or a tuple of tensors."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __call__(self, *arguments: Any) -> Any:
        """Run the compiled forward()."""
        results = self._loader.run([_row_major(each) for each in arguments])
        return results[0] if len(results) == 1 else tuple(results)


def load(path: Path) -> tuple[CompiledModule, list[Argument]]:
    """Load the file with libtorch's loader, because the Python loader needs a C++ compiler. Raises `LoadError`."""
    name = name_of(path)
    kind = detect_kind(path, COMPILED)
    if kind != COMPILED:
        raise LoadError(f"{name} is {kind}, not {COMPILED}: {_EXPORT}")
    package = torch._C._aoti.AOTIModelPackageLoader  # noqa: SLF001
    try:
        _check_processor(name, package.load_metadata_from_package(str(path), _MODEL))
        loader = package(str(path), _MODEL, False, 1, -1)  # One runner, on any device.
        inputs, _ = loader.get_call_spec()
    except RuntimeError as error:
        raise LoadError(f"{name} cannot be loaded by torch {torch.__version__}: {reason_of(error, 0)}") from error
    return CompiledModule(loader), [Argument(str(index)) for index in range(_leaves(json.loads(inputs)[1]))]


def why_not_batchable(package: CompiledModule, interface: Interface) -> str:
    """Return "": the compiler has fixed which input determines the sizes of each output."""
    del package, interface
    return ""


def forms(package: CompiledModule) -> list[Form]:
    """Return an empty list, because the file is compiled already."""
    del package
    return []


def _check_processor(name: str, metadata: dict[str, str]) -> None:
    """Reject a file with unsupported instructions, which would kill the process without a message."""
    supported = torch.cpu.get_capabilities()
    required = metadata.get("AOTI_CPU_ISA", "").lower().split()
    missing = [word for word in required if supported.get(_CAPABILITIES.get(word, word)) is False]
    if missing:
        raise LoadError(
            f"{name} was compiled for a processor with {', '.join(missing)}, which this one lacks: {_EXPORT} here"
        )


def _leaves(spec: dict[str, Any]) -> int:
    """Count the tensors of a nested structure in the format of torch.utils._pytree."""
    return sum(map(_leaves, spec["children_spec"])) if spec["type"] else 1


def _row_major(tensor: torch.Tensor) -> torch.Tensor:
    """Restore the strides that the library was compiled for; torch ignores them in dimensions of size 1."""
    return tensor.contiguous().view(-1).view(tensor.shape)
