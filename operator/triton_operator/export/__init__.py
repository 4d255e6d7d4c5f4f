"""Export a PyTorch module to a model folder for Triton: the model file with its signature, and a model card.

`export_torchscript` and `export_aotinductor` are for programs and notebooks; `tritonctl export` calls the same code.
Requires the extra `export`, which installs torch. The operator does not import this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.export.errors import CompressionRejectedError, ExportError
from triton_operator.export.tolerance import TOLERANCE

if TYPE_CHECKING:
    from torch import nn

    from triton_operator.export.compression import Compressed, Evaluate, FineTune
    from triton_operator.export.exporter import Arguments
    from triton_operator.export.folder import Exported

__all__ = [
    "TOLERANCE",
    "CompressionRejectedError",
    "ExportError",
    "compress",
    "export_aotinductor",
    "export_torchscript",
]


def export_torchscript(  # noqa: PLR0913 - all but the first four are optional, and each sets one export option.
    module: nn.Module,
    example_inputs: Arguments,
    folder: Path | str,
    *,
    name: str,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    max_batch_size: int = 0,
    other_examples: Sequence[Arguments] = (),
    trace: bool = False,
    version: int = 1,
    with_config: bool = False,
    url: str = "",
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write `folder`/`name` with `version`/model.pt, a TorchScript file that contains its signature, and README.md.

    `example_inputs` are arguments of forward(): tensors, or lists of str. If `max_batch_size` is above 0, their first
    dimension is the batch, and Triton may combine requests of several callers in one batch. A dimension whose size
    differs between `example_inputs` and `other_examples` is variable. By default, inputs are named INPUT__0, INPUT__1
    and so on, and outputs OUTPUT__0 and so on; `input_names` may be the argument names of forward().

    The module is scripted. If `trace` is true, it is traced, which records only the branches of `if` and `for` that the
    example takes. The module and the exported model are run on all examples and on inputs generated from them; an
    output that differs by more than `tolerance` (relative for values above 1) is an error. If `url` is HOST:PORT of a
    Triton that serves this repository, the same inputs are sent to it. `with_config` also writes config.pbtxt, for a
    Triton without the operator. README.md is the model card; a README.md from another source is kept.

    Raises ExportError, whose message says what to change. The existing model file is then kept, unless only the outputs
    of the server differ.
    """
    try:
        from triton_operator.export import exporter
    except ModuleNotFoundError as error:
        raise ExportError(f"exporting needs the package {error.name}: pip install '.[export]'") from error
    options = exporter.ExportOptions(name, tuple(input_names), tuple(output_names), max_batch_size, tolerance)
    destination = exporter.Destination(Path(folder), version, with_config, url)
    return exporter.export(module, (example_inputs, *other_examples), options, destination, trace=trace)


def export_aotinductor(  # noqa: PLR0913 - as above.
    module: nn.Module,
    example_inputs: Arguments,
    folder: Path | str,
    *,
    name: str,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    max_batch_size: int = 0,
    other_examples: Sequence[Arguments] = (),
    version: int = 1,
    with_config: bool = False,
    url: str = "",
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write `folder`/`name` with `version`/model.pt2, the module compiled ahead of time, and README.md.

    The parameters are those of `export_torchscript`, except that inputs cannot be text. The file runs on the kind of
    processor and with the version of torch that compiled it. Requires a C++ compiler; compiling takes about a minute.
    """
    try:
        from triton_operator.export import aotinductor
    except ModuleNotFoundError as error:
        raise ExportError(f"exporting needs the package {error.name}: pip install '.[export]'") from error
    from triton_operator.export.equivalence_check import ExportOptions
    from triton_operator.export.folder import Destination

    options = ExportOptions(name, tuple(input_names), tuple(output_names), max_batch_size, tolerance)
    destination = Destination(Path(folder), version, with_config, url)
    return aotinductor.export(module, (example_inputs, *other_examples), options, destination)


def compress(
    module: nn.Module,
    example_inputs: Arguments,
    *,
    method: str,
    evaluate: Evaluate,
    max_drop: float = 0.01,
    sparsity: float = 0.5,
    fine_tune: FineTune | None = None,
) -> Compressed:
    """Return a smaller copy of a module, to be exported with the functions above.

    `method` is "prune" (sets the smallest weights to zero), "prune-channels" (removes whole channels and hidden units),
    "int8" or "fp16" (smaller weights, for TorchScript), or "int8-aotinductor". `evaluate` returns the score of a
    module, where higher is better; if the score drops by more than `max_drop`, CompressionRejectedError is raised.
    `sparsity` is the fraction that pruning removes, and `fine_tune` trains a pruned module in place. Raises ExportError
    for invalid arguments.
    """
    try:
        from triton_operator.export import compression
    except ModuleNotFoundError as error:
        raise ExportError(f"compressing needs the package {error.name}: pip install '.[compress]'") from error
    from triton_operator.export.exporter import as_sequence

    if method not in set(compression.CompressionMethod):
        raise ExportError(f"method {method}: must be one of {', '.join(compression.CompressionMethod)}")
    settings = compression.CompressionSettings(compression.CompressionMethod(method), sparsity, fine_tune)
    return compression.compress(module, settings, as_sequence(example_inputs), evaluate, max_drop)
