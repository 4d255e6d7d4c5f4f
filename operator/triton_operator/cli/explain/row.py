"""Select the row that `tritonctl explain` explains, and the names of its columns.

Input: the arrays of a file or text, as `infer` reads them, the options, and the signature of a model file. Output: one
row for each input, all rows, and names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.cli.failures import UsageError

if TYPE_CHECKING:
    from triton_operator.sdk.interface import ModelInterface
    from triton_operator.sdk.tensors import Array
    from triton_operator.triton.model_file.signature import Signature


@dataclass(frozen=True)
class Row:
    """`inputs` is one row in the shape that the model expects; `others` are all rows, from which a mean is computed."""

    inputs: Mapping[str, Array]
    others: Mapping[str, Array]

    def explained_input(self, name: str) -> str:
        """The named input, or the only one if the name is empty; raises UsageError."""
        if name in self.inputs:
            return name
        if name or len(self.inputs) != 1:
            raise UsageError(f"--input-name: select the input to explain: {', '.join(self.inputs)}")
        return next(iter(self.inputs))


def choose_row(inputs: Mapping[str, Array], number: int, *, by_rows: bool) -> Row:
    """Return row `number`, counted from 1, of each input, or the whole inputs if not `by_rows`. Raises UsageError."""
    rows = min((len(array) for array in inputs.values()), default=0) if by_rows else 1
    if number > rows:
        raise UsageError(f"--row {number}: the input has {rows} row{'s' if rows != 1 else ''}")
    if not by_rows:
        return Row(inputs, {name: array[None] for name, array in inputs.items()})
    return Row({name: array[number - 1 : number] for name, array in inputs.items()}, inputs)


def column_names(option: str, table: Sequence[str], values: int) -> tuple[str, ...]:
    """The names in --names, or else those of the table; raises UsageError unless there is one for each value."""
    if not option:
        return tuple(table)
    names = tuple(name.strip() for name in option.split(","))
    if len(names) != values:
        raise UsageError(f"--names: expected {values} names, one per value of a row, got {len(names)}")
    return names


def read_target(option: str) -> int | tuple[int, ...] | str | None:
    """Parse a number, numbers separated by commas (one for each dimension of the output), or a label."""
    parts = option.split(",")
    if not option:
        return None
    if all(part.strip().isdecimal() for part in parts):
        index = tuple(int(part) for part in parts)
        return index[0] if len(index) == 1 else index
    return option


def interface_of_file(path: Path) -> ModelInterface:
    """Return the inputs of a TorchScript file according to its signature; raises UsageError if it has none."""
    from triton_operator.sdk.interface import ModelInterface, TensorInterface
    from triton_operator.triton.model_file.signature import ANY

    signature = _signature(path)
    if signature is None:
        raise UsageError(
            f"--model-file {path}: has no signature; pass a complete request as JSON: --input request.json"
        )
    batch = (ANY,) if signature.max_batch_size else ()
    tensors = (
        TensorInterface(each.name, "BYTES" if each.data_type == "STRING" else each.data_type, (*batch, *each.dims))
        for each in signature.inputs
    )
    return ModelInterface(path.stem, tuple(tensors), (), max_batch_size=signature.max_batch_size)


def require_batch(path: Path) -> None:
    """Raise UsageError if, according to the signature of a TorchScript file, an input has no batch dimension."""
    from triton_operator.triton.model_file.signature import ANY

    signature = _signature(path)
    if signature is None or signature.max_batch_size:
        return
    for tensor in signature.inputs:
        if tensor.dims[:1] not in {(ANY,), (1,)}:
            raise UsageError(
                f"--model-file {path}: {tensor.name} ({tensor.shown}) has no batch dimension, which gradients need; "
                "explain the served model instead"
            )


def output_of_file(path: Path, name: str) -> str:
    """The named output of a TorchScript file, or its only one; raises UsageError if the signature does not have it."""
    signature = _signature(path)
    names = [each.name for each in signature.outputs] if signature else []
    if name and name not in names:
        outputs = f"has the outputs {', '.join(names)}" if names else "has no signature with the names of its outputs"
        raise UsageError(f"--output-name {name}: {path} {outputs}")
    return name or (names[0] if len(names) == 1 else "")


def argument_places(path: Path, inputs: Sequence[str]) -> dict[str, int]:
    """Map each input to its position among the arguments of forward(): that in the signature, or else in `inputs`."""
    signature = _signature(path)
    names = [each.name for each in signature.inputs] if signature else list(inputs)
    if set(names) != set(inputs):
        raise UsageError(f"--model-file {path}: expected the inputs {', '.join(names)}, got {', '.join(inputs)}")
    return {name: place for place, name in enumerate(names)}


def _signature(path: Path) -> Signature | None:
    from triton_operator.triton.model_file.archive import ArchiveError, read_signature

    try:
        return read_signature(path)
    except (ArchiveError, OSError) as error:
        raise UsageError(f"--model-file {path}: {getattr(error, 'strerror', None) or error}") from error
