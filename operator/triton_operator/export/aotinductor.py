"""Compiles a module ahead of time: `model.pt2`, PyTorch's successor of TorchScript.

Input: a module with examples, names, and a place. Output: `<folder>/<name>/<version>/model.pt2` and what belongs to
it. torch.export records one run, so no TorchScript is needed; then a C++ compiler makes a library of it, for this kind
of processor and this version of torch. Needs torch, g++ and setuptools, and a minute.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
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
"""As many threads as its server gives a model: else the compiler's own number may be fixed in the file."""

_SMALLEST = 2
"""Rows of the example that is recorded: torch.export takes a size of 1 for one that never changes."""


class CompiledPackage:
    """A compiled file with the inputs and outputs of forward().

    By the loader of libtorch itself: the one of `torch._inductor` asks for a C++ compiler first, only to compare what
    kind of processor there is.
    """

    def __init__(self, path: Path) -> None:
        """Load it; torch raises RuntimeError for any other file."""
        loader: Any = torch._C._aoti.AOTIModelPackageLoader  # noqa: SLF001 - see above.
        self._loader = loader(str(path), "model", False, 1, -1)  # One runner, on any device.

    def __call__(self, *arguments: torch.Tensor) -> object:
        """Run it."""
        results = self._loader.run([row_major(each) for each in arguments])
        return results[0] if len(results) == 1 else tuple(results)


def export(
    module: nn.Module, examples: Sequence[Arguments], options: ExportOptions, destination: Destination
) -> Exported:
    """Write the model; raises ExportError."""
    check_model_name(options.name)
    require_compiler()
    inputs = [as_sequence(each) for each in examples]
    _refuse_text(inputs)
    recorded = record_runs(module.eval(), inputs, options, argument_names(module))  # Before a minute is spent.
    program = _record(module, inputs, options)
    path = model_path(destination, options.name, Format.AOT_INDUCTOR)
    with tempfile.TemporaryDirectory(prefix="triton-operator-export-") as folder:
        draft = _compile(program, Path(folder, "model.pt2"))
        comparison = Comparison(recorded.signature, compare(recorded, CompiledPackage(draft), options), recorded.runs)
        write_archive(draft, path, comparison.signature)
    return finish(path, module, comparison, options, destination, Format.AOT_INDUCTOR)


def _refuse_text(inputs: Sequence[Sequence[Value]]) -> None:
    if any(isinstance(each, list) for arguments in inputs for each in arguments):
        raise ExportError("AOTInductor takes tensors only; keep text in a step of Python before the model")


def _record(module: nn.Module, inputs: Sequence[Sequence[Value]], options: ExportOptions) -> Any:
    """The module as torch.export sees it, with the sizes open that a request may choose."""
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
    """With the strides in which Triton hands tensors over.

    The compiled code counts on those of the example. Where a dimension has one size its stride is anything, and torch
    calls the tensor contiguous all the same; answers were wrong by 0.99 then, without an error (2.15).
    """
    return tensor.contiguous().view(-1).view(tensor.shape)


def _dynamic(index: int, values: Sequence[Value], options: ExportOptions) -> dict[int, object]:
    """Which dimensions of an input requests choose: the batch, and those in which the examples differ."""
    tensors = [each for each in values if isinstance(each, torch.Tensor)]
    if len({each.dim() for each in tensors}) > 1:
        raise ExportError(f"input {index}: examples differ in their number of dimensions")
    open_sizes: dict[int, object] = {
        at: torch.export.Dim.AUTO
        for at in range(1 if options.max_batch_size else 0, tensors[0].dim())
        if len({each.shape[at] for each in tensors}) > 1
    }
    if options.max_batch_size:
        # One row more than will come: an example that fills the range is compiled for that size alone (torch 2.15).
        open_sizes[0] = torch.export.Dim("batch", min=1, max=max(_SMALLEST, options.max_batch_size) + 1)
    return open_sizes


def _compile(program: Any, path: Path) -> Path:
    try:
        # Warnings of torch about itself say nothing of the user's module.
        with warnings.catch_warnings(action="ignore"):
            torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - its public name.
                program, package_path=str(path), inductor_configs=_OPTIONS
            )
    except Exception as error:
        raise ExportError(f"AOTInductor cannot compile the module: {sentence(error)}") from error
    return path
