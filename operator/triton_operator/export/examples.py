"""Example inputs made from a description, for who has none at hand: the command line.

Enters: `[NAME:]TYPE:DIMS` for each input. Leaves: names, and arguments of forward(), two sets where a size is open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from triton_operator.export.errors import ExportError
from triton_operator.export.tensors import DATA_TYPES, Value
from triton_operator.triton.signature import ANY, Tensor

_INPUT = re.compile(r"(?:(?P<name>[^:]+):)?(?P<type>[A-Z]+[0-9]*):(?P<dims>(?:-1|[1-9]\d*)(?:,(?:-1|[1-9]\d*))*)?")
_TYPES = {name: dtype for dtype, name in DATA_TYPES.items()}
_OPEN_SIZES = (32, 48)
"""Stand for a size that requests decide: large enough for most networks, and different ones."""
_ROWS = 2


def read_input(text: str, index: int) -> Tensor:
    """One input as a signature has it; raises ExportError."""
    found = _INPUT.fullmatch(text)
    if not found or found["type"] not in {*_TYPES, "STRING"}:
        types = ", ".join(sorted((*_TYPES, "STRING")))
        raise ExportError(f"--input {text}: must be [NAME:]TYPE:DIMS such as FP32:1,28,28, TYPE one of {types}")
    dims = tuple(int(size) for size in (found["dims"] or "").split(",") if size)
    return Tensor(found["name"] or f"INPUT__{index}", found["type"], dims)


def make_examples(tensors: Sequence[Tensor], *, batched: bool) -> list[list[Value]]:
    """Arguments with the same random numbers each time; a second set with other sizes where any size may be sent."""
    count = 2 if any(ANY in tensor.dims for tensor in tensors) else 1
    generator = torch.Generator().manual_seed(0)
    return [[_value(tensor, size, generator, batched=batched) for tensor in tensors] for size in _OPEN_SIZES[:count]]


def _value(tensor: Tensor, open_size: int, generator: torch.Generator, *, batched: bool) -> Value:
    rows = [_ROWS] if batched else []
    sizes = rows + [open_size if size == ANY else size for size in tensor.dims]
    if tensor.data_type == "STRING":
        if len(sizes) != 1:
            raise ExportError(f"{tensor.name}: text has one dimension, the batch included")
        return [f"text {index}" for index in range(sizes[0])]
    dtype = _TYPES[tensor.data_type]
    if dtype.is_floating_point:
        return torch.randn(sizes, generator=generator).to(dtype)
    return torch.randint(0, 2, sizes, generator=generator).to(dtype)  # Also right for positions in a vocabulary.
