"""Draws questions from examples: other values, other rows, other magnitudes; always the same ones.

Input: arguments of forward(). Output: arguments of the same types and dimensions. `questions`, `rows` and `channels`
call it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch

from triton_operator.export.tensors import TYPES, Value, rows_of
from triton_operator.triton.model_file.signature import ANY, Signature


def generator() -> torch.Generator:
    """A source of numbers that are the same each time."""
    return torch.Generator().manual_seed(0)


def drawn_arguments(example: Sequence[Value], rows: int, source: torch.Generator) -> list[Value]:
    """As many rows, the same of every argument because they belong together, with new numbers; `rows` 0 keeps them."""
    if rows:
        there = max(1, min(rows_of(each) for each in example))
        chosen = torch.randint(0, there, (rows,), generator=source).tolist()
        example = [[each[row] for row in chosen] if isinstance(each, list) else each[chosen] for each in example]
    return [each if isinstance(each, list) else _moved(each, source) for each in example]


def uniform_arguments(example: Sequence[Value], source: torch.Generator) -> list[Value]:
    """New integers and booleans, anywhere between the smallest and the largest of the example."""
    return [each if isinstance(each, list) else _uniform(each, source) for each in example]


def scaled(arguments: Sequence[Value], factor: float) -> list[Value]:
    """Floating-point numbers times `factor`; all others as they are."""
    return [
        each * factor if isinstance(each, torch.Tensor) and each.dtype.is_floating_point else each for each in arguments
    ]


def padded(arguments: Sequence[Value]) -> list[Value]:
    """The second half of every row zero, as in a row that is shorter than others; of a text the first half."""
    return [_padded_texts(each) if isinstance(each, list) else _padded(each) for each in arguments]


class End(Enum):
    """Where the whole numbers of an example end: the smallest, the largest, and further than that."""

    LOW = 0
    HIGH = 1
    BEYOND = 2


_FURTHER = 100
"""Beyond the largest whole number of an example; what a model does not take is no question."""


def filled(arguments: Sequence[Value], end: End) -> list[Value]:
    """All whole numbers at one end, truth values alike, texts empty or long; other numbers as they are."""
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
    """What a server sends to itself before it serves: one row, of size 1 where requests decide."""
    rows = (1,) if signature.max_batch_size else ()
    shapes = [(*rows, *(1 if size == ANY else size for size in each.dims)) for each in signature.inputs]
    return [
        [""] * shape[0] if each.data_type == "STRING" else torch.zeros(shape, dtype=TYPES[each.data_type])
        for each, shape in zip(signature.inputs, shapes, strict=True)
    ]


def _moved(value: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Numbers moved by as much as they differ; others, which may mean something each, in another order."""
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
