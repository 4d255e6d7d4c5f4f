"""From a PyTorch module to a folder that Triton serves: the model's file with its signature inside, and its card.

`export_torchscript` and `export_aotinductor` are for programs and notebooks, `tritonctl export` for the command line;
training uses the former.
Needs the extra `export`, which is torch; nothing here is imported by the operator.
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


def export_torchscript(  # noqa: PLR0913 - all but the first four are optional, and each says one thing of the contract.
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
    """Write `folder`/`name`: `version`/model.pt, the module as TorchScript with its signature inside, and README.md.

    `example_inputs` are arguments of forward(): tensors, or lists of str. With `max_batch_size` above 0 their first
    dimension is the batch, which Triton may then fill with requests of several callers. Where a size in one of
    `other_examples` is another one than in the first, any size may be sent. Inputs are called INPUT__0, INPUT__1 and so
    on unless `input_names` has forward()'s own argument names, and outputs OUTPUT__0 and so on.

    The module is compiled by scripting; with `trace` by tracing, which keeps the one path that the example takes
    through `if` and `for`. All examples, and questions of other sizes drawn from them, are answered by both; answers
    that differ by more than `tolerance` (of the value, where that is above 1) are an error. The same questions go to
    the Triton at `url`, HOST:PORT, where one reads this repository. `with_config` writes config.pbtxt, too, for a
    Triton that no operator looks after. README.md is the model's card, unless somebody else wrote one.
    Raises ExportError, whose text says what to change; what lay in the model's place is kept then, unless it is the
    server that answers differently.
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
    """Write `folder`/`name`: `version`/model.pt2, the module compiled ahead of time, and README.md.

    Everything else is as with `export_torchscript`, names included, but strings are not supported. The file runs on the
    kind of processor that compiled it, with the version of torch that compiled it. Needs a C++ compiler
    and a minute.
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
    """A smaller copy of a module, to be exported by the functions above.

    `method` is "prune" (the smallest weights become zero), "prune-channels" (whole channels and hidden units go),
    "int8" or "fp16" (smaller weights, for TorchScript), or "int8-aotinductor". `evaluate` judges a module by a number,
    higher is better; if it falls by more than `max_drop`, CompressionRejectedError is raised. `sparsity` is the share
    that pruning removes, and `fine_tune` trains what is left, in place. Other mistakes raise ExportError.
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
