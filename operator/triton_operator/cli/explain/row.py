"""Which row `tritonctl explain` is about, and what its columns are called.

Input: what the files or texts hold, as `infer` reads them. Output: one row for each input, the rows beside it, names.
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
    """`inputs` as the model takes one row; `others` are all rows given, for a mean."""

    inputs: Mapping[str, Array]
    others: Mapping[str, Array]

    def only(self, wanted: str) -> str:
        """The input that is explained: the one named, else the only one; raises UsageError."""
        if wanted in self.inputs:
            return wanted
        if wanted or len(self.inputs) != 1:
            raise UsageError(f"--input-name: name the input to explain: {', '.join(self.inputs)}")
        return next(iter(self.inputs))


def choose_row(inputs: Mapping[str, Array], number: int, *, by_rows: bool) -> Row:
    """Row `number` (from 1) of each input; all of it where the model takes no rows. Raises UsageError."""
    rows = min((len(array) for array in inputs.values()), default=0) if by_rows else 1
    if number > rows:
        raise UsageError(f"--row {number}: there {'is' if rows == 1 else 'are'} {rows}")
    if not by_rows:
        return Row(inputs, {name: array[None] for name, array in inputs.items()})
    return Row({name: array[number - 1 : number] for name, array in inputs.items()}, inputs)


def column_names(named: str, table: Sequence[str], values: int) -> tuple[str, ...]:
    """What --names says, else the first line of the table; raises UsageError where that is not one for each value."""
    if named:
        names = tuple(name.strip() for name in named.split(","))
        if len(names) != values:
            raise UsageError(f"--names: has {len(names)}, and a row has {values} values")
        return names
    return tuple(table)


def read_target(given: str) -> int | tuple[int, ...] | str | None:
    """A number, several between commas for an answer of several dimensions, or a label."""
    parts = given.split(",")
    if not given:
        return None
    if all(part.strip().isdecimal() for part in parts):
        index = tuple(int(part) for part in parts)
        return index[0] if len(index) == 1 else index
    return given


def interface_of_file(path: Path) -> ModelInterface:
    """The inputs of a TorchScript file, from the signature in it; raises UsageError if it has none."""
    from triton_operator.sdk.interface import ModelInterface, TensorInterface
    from triton_operator.triton.model_file.signature import ANY

    signature = _signature(path)
    if signature is None:
        raise UsageError(f"--model-file {path}: has no signature; pass a whole request as JSON: --input request.json")
    batch = (ANY,) if signature.max_batch_size else ()
    tensors = (
        TensorInterface(each.name, "BYTES" if each.data_type == "STRING" else each.data_type, (*batch, *each.dims))
        for each in signature.inputs
    )
    return ModelInterface(path.stem, tuple(tensors), (), max_batch_size=signature.max_batch_size)


def output_of_file(path: Path, wanted: str) -> str:
    """The output of a TorchScript file, by the signature in it; raises UsageError where it is not the wanted one."""
    signature = _signature(path)
    names = [each.name for each in signature.outputs] if signature else []
    if wanted and wanted not in names:
        has = f"answers with {', '.join(names)}" if names else "has no signature that names its outputs"
        raise UsageError(f"--output-name {wanted}: {path} {has}")
    return wanted or (names[0] if len(names) == 1 else "")


def argument_places(path: Path, given: Sequence[str]) -> dict[str, int]:
    """Which argument of forward() each input is: by the signature, else in the order in which they are given."""
    signature = _signature(path)
    names = [each.name for each in signature.inputs] if signature else list(given)
    if set(names) != set(given):
        raise UsageError(f"--model-file {path}: takes {', '.join(names)}, given {', '.join(given)}")
    return {name: place for place, name in enumerate(names)}


def _signature(path: Path) -> Signature | None:
    from triton_operator.triton.model_file.archive import ArchiveError, read_signature

    try:
        return read_signature(path)
    except (ArchiveError, OSError) as error:
        raise UsageError(f"--model-file {path}: {getattr(error, 'strerror', None) or error}") from error
