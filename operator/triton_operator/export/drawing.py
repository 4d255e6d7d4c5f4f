"""Generate inputs from examples: other values, rows and magnitudes, the same in each export.

Input: arguments of forward(). Output: arguments of the same types and dimensions. `equivalence_check`, `rows` and
`channels` call it. Requires torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import Enum

import torch

from triton_operator.export.tensors import TYPES, Value, rows_of
from triton_operator.triton.model_file.signature import ANY, Signature

SCALES = (1.0, 1e-3, 1e3, 0.0, math.nan, math.inf)
"""Scale factors of other inputs; zeros, undefined and infinite numbers are included."""


def generator() -> torch.Generator:
    """Return a random number generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


def drawn_arguments(example: Sequence[Value], rows: int, source: torch.Generator) -> list[Value]:
    """Return arguments with `rows` rows (0: unchanged), chosen alike for all arguments, and with new numbers."""
    if rows:
        there = max(1, min(rows_of(each) for each in example))
        chosen = torch.randint(0, there, (rows,), generator=source).tolist()
        example = [[each[row] for row in chosen] if isinstance(each, list) else each[chosen] for each in example]
    return [each if isinstance(each, list) else _moved(each, source) for each in example]


def uniform_arguments(example: Sequence[Value], source: torch.Generator) -> list[Value]:
    """Draw integers and booleans again, uniformly between the smallest and the largest of the example."""
    return [each if isinstance(each, list) else _uniform(each, source) for each in example]


def scaled(arguments: Sequence[Value], factor: float) -> list[Value]:
    """Multiply floating-point tensors by `factor`, and keep all others."""
    return [
        each * factor if isinstance(each, torch.Tensor) and each.dtype.is_floating_point else each for each in arguments
    ]


def extremes(arguments: Sequence[Value]) -> Iterator[list[Value]]:
    """Yield arguments of the same shapes with extreme numbers; a module may reject them."""
    for scale in SCALES:
        yield scaled(arguments, scale)
    for end in End:
        yield filled(arguments, end)


def padded(arguments: Sequence[Value]) -> list[Value]:
    """Set the second half of every row to zero, like the padding of a short row; keep the first half of each text."""
    return [_padded_texts(each) if isinstance(each, list) else _padded(each) for each in arguments]


class End(Enum):
    """Which integer to fill with: the smallest of an example, the largest, or one beyond the largest."""

    LOW = 0
    HIGH = 1
    BEYOND = 2


_FURTHER = 100
"""Distance beyond the largest integer of an example; runs that the module rejects are skipped."""


def filled(arguments: Sequence[Value], end: End) -> list[Value]:
    """Fill integers and booleans with one value, and texts with empty or long ones; keep floating-point tensors."""
    return [_filled_texts(each, end) if isinstance(each, list) else _filled(each, end) for each in arguments]


def _padded(value: torch.Tensor) -> torch.Tensor:
    if value.dim() == 1:
        return value
    short = value.clone()
    short[:, (value.shape[1] + 1) // 2 :] = 0
    return short


def _padded_texts(texts: list[str]) -> list[str]:
    return [each[: (len(each) + 1) // 2] for each in texts]


def _filled(value: torch.Tensor, end: End) -> torch.Tensor:
    if value.dtype.is_floating_point or not value.numel():
        return value
    if value.dtype is torch.bool:
        return torch.full_like(value, end is not End.LOW)
    number = int(value.min() if end is End.LOW else value.max())
    if end is End.BEYOND:
        number = min(number + _FURTHER, torch.iinfo(value.dtype).max)
    return torch.full_like(value, number)


def _filled_texts(texts: list[str], end: End) -> list[str]:
    longest = max(texts, key=len, default="")
    return [{End.LOW: "", End.HIGH: longest, End.BEYOND: longest * _FURTHER}[end]] * len(texts)


def zeros(signature: Signature) -> list[Value]:
    """Return the warm-up request of a server: one row of zeros, with size 1 for variable dimensions."""
    rows = (1,) if signature.max_batch_size else ()
    shapes = [(*rows, *(1 if size == ANY else size for size in each.dims)) for each in signature.inputs]
    return [
        [""] * shape[0] if each.data_type == "STRING" else torch.zeros(shape, dtype=TYPES[each.data_type])
        for each, shape in zip(signature.inputs, shapes, strict=True)
    ]


def _moved(value: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Add noise with the standard deviation of the values; shuffle integers, which may have individual meanings."""
    if not value.dtype.is_floating_point:
        order = torch.randperm(value.numel(), generator=source)
        return value.flatten()[order].reshape(value.shape)
    spread = float(value.double().std(correction=0)) if value.numel() else 0.0
    noise = torch.randn(value.shape, generator=source, dtype=torch.float64)
    return (value + noise * (spread or 1.0)).to(value.dtype)


def _uniform(value: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    if value.dtype.is_floating_point:
        return _moved(value, source)
    low, high = (int(value.min()), int(value.max())) if value.numel() else (0, 0)
    if low == high:
        low, high = min(low, 0), max(high, 1)
    return torch.randint(low, high + 1, value.shape, generator=source).to(value.dtype)
