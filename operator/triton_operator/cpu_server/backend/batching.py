"""Run several requests as one: join their inputs along the first dimension and part the outputs again.

In: inputs of each request, tensors or lists of strings. Out: joined inputs, and from the joined outputs each request's
own. Called by `model` when Triton hands over more than one request of a model that allows batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


class BatchError(Exception):
    """The requests do not go together, or the outputs cannot be parted."""


@dataclass(frozen=True)
class Batch:
    """Joined requests; `sizes` has the number of rows of each."""

    inputs: list[Any]
    sizes: list[int]

    @classmethod
    def join(cls, requests: list[list[Any]]) -> Batch:
        """Join; raises `BatchError` when one lacks an input that another has, or rows do not agree."""
        columns = [list(column) for column in zip(*requests, strict=True)]
        sizes = [len(request[0]) if request[0] is not None else 0 for request in requests]
        if any([_rows(value) for value in column] not in (sizes, [None] * len(sizes)) for column in columns):
            raise BatchError("requests have different inputs or numbers of rows")
        return cls([_joined(column) for column in columns], sizes)

    def split(self, outputs: list[Any]) -> list[list[Any]]:
        """Give each request its rows of every output."""
        if any(_rows(output) != sum(self.sizes) for output in outputs):
            raise BatchError("an output has another number of rows than the inputs")
        parted = [_parted(output, self.sizes) for output in outputs]
        return [list(row) for row in zip(*parted, strict=True)]


def _rows(value: Any) -> int | None:
    if isinstance(value, torch.Tensor):
        return value.shape[0] if value.dim() else None
    return len(value) if isinstance(value, list) else None


def _joined(column: list[Any]) -> Any:
    if column[0] is None:
        return None
    if isinstance(column[0], list):
        return [text for texts in column for text in texts]
    return torch.cat(column)


def _parted(output: Any, sizes: list[int]) -> list[Any]:
    if isinstance(output, torch.Tensor):
        return list(torch.split(output, sizes))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [output[start : start + size] for start, size in zip(starts, sizes, strict=True)]
