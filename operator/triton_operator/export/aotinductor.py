"""Compile a module ahead of time to `model.pt2`, PyTorch's successor of TorchScript.

Input: a module with examples, options, and a destination. Output: `<folder>/<name>/<version>/model.pt2` and the other
files of the model folder. torch.export records one run of the module, and a C++ compiler builds a library from it, for
this kind of processor and this version of torch. Requires torch, g++ and setuptools; compiling takes about a minute.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.archive import write_archive
from triton_operator.export.equivalence_check import Comparison, ExportOptions, compare, record_runs
from triton_operator.export.errors import ExportError
from triton_operator.export.exporter import Arguments, argument_names, as_sequence
from triton_operator.export.folder import Destination, Exported, finish, model_path
from triton_operator.export.naming import check_model_name
from triton_operator.export.request import require_compiler
from triton_operator.export.tensors import Value
from triton_operator.export.torch_message import sentence

_OPTIONS = {"cpp.dynamic_threads": True}
"""Take the number of threads from the server at run time. Otherwise, the compiler may fix its own number in the
file."""

_SMALLEST = 2
"""Minimum number of rows in the recorded example, because torch.export treats a size of 1 as constant."""


class CompiledPackage:
    """A compiled file as a callable with the inputs and outputs of forward().

    Uses the loader of libtorch. The loader of `torch._inductor` requires a C++ compiler, only to compare the kind of
    processor.
    """

    def __init__(self, path: Path) -> None:
        """Load the file; torch raises RuntimeError for any other kind of file."""
        loader: Any = torch._C._aoti.AOTIModelPackageLoader  # noqa: SLF001 - see above.
        self._loader = loader(str(path), "model", False, 1, -1)  # One runner, on any device.

    def __call__(self, *arguments: torch.Tensor) -> object:
        """Run the compiled model."""
        results = self._loader.run([row_major(each) for each in arguments])
        return results[0] if len(results) == 1 else tuple(results)


def export(
    module: nn.Module, examples: Sequence[Arguments], options: ExportOptions, destination: Destination
) -> Exported:
    """Write the model folder; raises ExportError."""
    check_model_name(options.name)
    require_compiler()
    inputs = [as_sequence(each) for each in examples]
    _refuse_text(inputs)
    recorded = record_runs(module.eval(), inputs, options, argument_names(module))  # Fails before the slow compilation.
    program = _record(module, inputs, options)
    path = model_path(destination, options.name, Format.AOT_INDUCTOR)
    with tempfile.TemporaryDirectory(prefix="triton-operator-export-") as folder:
        draft = _compile(program, Path(folder, "model.pt2"))
        comparison = Comparison(recorded.signature, compare(recorded, CompiledPackage(draft), options), recorded.runs)
        write_archive(draft, path, comparison.signature)
    return finish(path, module, comparison, options, destination, Format.AOT_INDUCTOR)


def _refuse_text(inputs: Sequence[Sequence[Value]]) -> None:
    if any(isinstance(each, list) for arguments in inputs for each in arguments):
        raise ExportError("AOTInductor accepts only tensors; process text in a Python step before the model")


def _record(module: nn.Module, inputs: Sequence[Sequence[Value]], options: ExportOptions) -> Any:
    """Return the program of torch.export, with variable sizes for the dimensions that a request may choose."""
    example = [row_major(each) for each in inputs[0] if isinstance(each, torch.Tensor)]
    if options.max_batch_size and any(len(each) < _SMALLEST for each in example):
        example = [torch.cat([each, each]) for each in example]
    shapes = [_dynamic(index, [arguments[index] for arguments in inputs], options) for index in range(len(example))]
    try:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            return torch.export.export(module, tuple(example), dynamic_shapes=tuple(shapes))
    except Exception as error:
        raise ExportError(f"torch.export cannot record the module: {sentence(error)}") from error


def row_major(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor with row-major strides, which is how Triton passes tensors.

    The compiled code relies on the strides of the example. A dimension of size 1 may have any stride, although torch
    reports the tensor as contiguous; outputs were then wrong by 0.99, without an error (torch 2.15).
    """
    return tensor.contiguous().view(-1).view(tensor.shape)


def _dynamic(index: int, values: Sequence[Value], options: ExportOptions) -> dict[int, object]:
    """Return the variable dimensions of an input: the batch, and those whose size differs between examples."""
    tensors = [each for each in values if isinstance(each, torch.Tensor)]
    if len({each.dim() for each in tensors}) > 1:
        raise ExportError(f"input {index}: examples differ in their number of dimensions")
    open_sizes: dict[int, object] = {
        at: torch.export.Dim.AUTO
        for at in range(1 if options.max_batch_size else 0, tensors[0].dim())
        if len({each.shape[at] for each in tensors}) > 1
    }
    if options.max_batch_size:
        # One more row than the maximum: torch 2.15 specializes on an example that has the maximum size of the range.
        open_sizes[0] = torch.export.Dim("batch", min=1, max=max(_SMALLEST, options.max_batch_size) + 1)
    return open_sizes


def _private_cache(folder: Path) -> AbstractContextManager[None]:
    """Torch's context manager for a new cache; it has another name up to torch 2.7."""
    utilities = torch._inductor.utils  # noqa: SLF001 - it has no public name.
    create = getattr(utilities, "fresh_cache", None) or utilities.fresh_inductor_cache
    result: AbstractContextManager[None] = create(dir=str(folder))
    return result


def _compile(program: Any, path: Path) -> Path:
    """Compile to `path`, with intermediate files in a folder of its own next to it.

    torch gives intermediate files of equal programs equal paths in a folder that all processes of a user share, and
    does not write all of them atomically. A second process that compiled the same module at the same time left an
    empty metadata file in the package of the first one (torch 2.15).
    """
    try:
        # Warnings of torch about its own internals are not about the user's module.
        with _private_cache(path.parent), warnings.catch_warnings(action="ignore"):
            torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - its public name.
                program, package_path=str(path), inductor_configs=_OPTIONS
            )
    except Exception as error:
        raise ExportError(f"AOTInductor cannot compile the module: {sentence(error)}") from error
    return path
