"""Generate example inputs from a description, for the command line.

Input: types, dimensions, and optional ranges. Output: arguments of forward(), in two sets if a size is variable.
Requires torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from triton_operator.export.errors import ExportError
from triton_operator.export.inputs import InputOption, Range
from triton_operator.export.tensors import TYPES, Value
from triton_operator.triton.model_file.signature import ANY, TensorSpec

_OPEN_SIZES = (32, 48)
"""Two different sizes for a variable dimension, large enough for most networks."""
_ROWS = 2


def make_examples(inputs: Sequence[TensorSpec | InputOption], *, batched: bool) -> list[list[Value]]:
    """Return the same random arguments each time, and a second set with other sizes if a size is variable."""
    described = [each if isinstance(each, InputOption) else InputOption(each) for each in inputs]
    count = 2 if any(ANY in each.tensor.dims for each in described) else 1
    generator = torch.Generator().manual_seed(0)
    return [[_value(each, size, generator, batched=batched) for each in described] for size in _OPEN_SIZES[:count]]


def _value(described: InputOption, open_size: int, generator: torch.Generator, *, batched: bool) -> Value:
    tensor = described.tensor
    rows = [_ROWS] if batched else []
    sizes = rows + [open_size if size == ANY else size for size in tensor.dims]
    if tensor.data_type == "STRING":
        if len(sizes) != 1:
            raise ExportError(f"{tensor.name}: text has one dimension, the batch included")
        return [f"text {index}" for index in range(sizes[0])]
    dtype = TYPES[tensor.data_type]
    if dtype.is_floating_point:
        return _numbers(described.range, sizes, generator).to(dtype)
    low, high = described.range or Range(0, 1)  # Also valid as indices of a vocabulary.
    return _whole_numbers(int(low), int(high), sizes, generator).to(dtype)


def _numbers(within: Range | None, sizes: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    if within is None:
        return torch.randn(sizes, generator=generator)
    return within.low + torch.rand(sizes, generator=generator, dtype=torch.float64) * (within.high - within.low)


def _whole_numbers(low: int, high: int, sizes: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    if high - low < 2**62:
        return torch.randint(low, min(high + 1, 2**63 - 1), sizes, generator=generator)
    return torch.randint(-(2**62), 2**62, sizes, generator=generator)
