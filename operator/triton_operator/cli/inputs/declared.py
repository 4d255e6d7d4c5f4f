"""What a served model says that it takes, and how an array is brought into that form.

Input: what the server told the SDK of a model. Output: tensors, and arrays that fit them. The
first dimension is the batch where it is -1: Triton puts it there for every model that batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.sdk.interface import ModelInterface, fits
from triton_operator.sdk.tensors import DATA_TYPES, Array
from triton_operator.triton.model_file.signature import ANY


@dataclass(frozen=True)
class Tensor:
    """One input or output as the model declares it."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def batched(self) -> bool:
        """Whether the first dimension counts rows."""
        return self.shape[:1] == (ANY,)

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one row, without the batch."""
        return self.shape[1:] if self.batched else self.shape

    @property
    def values(self) -> int | None:
        """How many values a row has; None where the model leaves it open."""
        return None if ANY in self.row else math.prod(self.row)

    @property
    def numbers(self) -> bool:
        """Whether it holds numbers, not texts or truth values."""
        return self.datatype not in {"BYTES", "BOOL"}

    @property
    def shown(self) -> str:
        """For messages: `INPUT__0 (FP32 [-1, 1, 28, 28])`."""
        return f"{self.name} ({self.datatype} {list(self.shape)})"


@dataclass(frozen=True)
class Model:
    """A served model; all of its inputs have to be given."""

    name: str
    inputs: tuple[Tensor, ...]

    @property
    def shown(self) -> str:
        """What it takes, for messages."""
        return f"{self.name} takes {', '.join(tensor.shown for tensor in self.inputs)}"

    def only(self, candidates: Iterable[Tensor], what: str, source: str) -> Tensor:
        """Return the one input that `what` fits; raises UsageError if none or several fit, or others stay empty."""
        found = list(candidates)
        if len(found) != 1 or len(self.inputs) != 1:
            fit = " and ".join(tensor.name for tensor in found) or "none"
            raise UsageError(f"{source}: {what} is one input, and {self.shown}; of these {fit} can be it. Send JSON")
        return found[0]


def read_model(interface: ModelInterface) -> Model:
    """The model as the SDK was told of it."""
    return Model(interface.model, tuple(Tensor(each.name, each.datatype, each.shape) for each in interface.inputs))


def stack(rows: Sequence[Array], tensor: Tensor, source: str) -> Array:
    """Rows of one shape as what the tensor wants; raises UsageError where it takes one row only."""
    if tensor.batched:
        return np.stack(rows)
    if len(rows) > 1:
        raise UsageError(f"{source}: there are {len(rows)} rows, and {tensor.shown} takes one at a time")
    return rows[0]


def fit(array: Array, tensor: Tensor, source: str) -> Array:
    """The array in the declared shape: a missing batch or dimensions of one are added, nothing else is guessed."""
    for shape in (array.shape, (1, *array.shape)):
        if fits(shape, tensor.shape):
            return array.reshape(shape)
    for rows in ((1,), array.shape[:1]) if tensor.batched else ((),):
        wanted = (*rows, *tensor.row)
        if ANY not in wanted and array.size == math.prod(wanted) and _without_ones(array) == _ones_left_out(wanted):
            return array.reshape(wanted)
    raise UsageError(f"{source}: has shape {list(array.shape)}, and the model takes {tensor.shown}")


def numpy_type(tensor: Tensor, source: str) -> type[np.generic]:
    """The tensor's type in numpy; raises UsageError for BF16, which numpy has not."""
    if tensor.datatype not in DATA_TYPES:
        raise UsageError(f"{source}: {tensor.shown} cannot be made here; known are {', '.join(DATA_TYPES)}")
    return DATA_TYPES[tensor.datatype]


def _without_ones(array: Array) -> tuple[int, ...]:
    return _ones_left_out(array.shape)


def _ones_left_out(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
