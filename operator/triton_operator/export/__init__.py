"""From a PyTorch module to a folder that Triton serves: the TorchScript file, with its signature inside.

`export_torchscript` is for programs and notebooks, `tritonctl export` for the command line; training uses the former.
Needs the extra `triton-operator[export]`, which is torch; nothing here is imported by the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.export.errors import ExportError

if TYPE_CHECKING:
    from torch import nn

    from triton_operator.export.exporter import Arguments, Exported

__all__ = ["ExportError", "export_torchscript"]


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
) -> Exported:
    """Write `folder`/`name`/`version`/model.pt: the module as TorchScript, and what it takes and gives.

    `example_inputs` are arguments of forward(): tensors, or lists of str. With `max_batch_size` above 0 their first
    dimension is the batch, which Triton may then fill with requests of several callers. Where a size in one of
    `other_examples` is another one than in the first, any size may be sent. Inputs are called INPUT__0, INPUT__1 and so
    on unless `input_names` has forward()'s own argument names, and outputs OUTPUT__0 and so on.

    The module is compiled by scripting; with `trace` by tracing, which keeps the one path that the example takes
    through `if` and `for`. All examples are answered by both, and answers that differ by more than 1e-5 are an error.
    Raises ExportError, whose text says what to change; what lay in the file's place is kept then.
    """
    try:
        from triton_operator.export import exporter
    except ModuleNotFoundError as error:
        raise ExportError(f"exporting needs the package {error.name}: pip install '.[export]'") from error
    contract = exporter.Contract(name, tuple(input_names), tuple(output_names), max_batch_size)
    return exporter.export(
        module, (example_inputs, *other_examples), contract, Path(folder), trace=trace, version=version
    )
