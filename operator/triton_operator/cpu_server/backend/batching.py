"""Run several requests as one: join their inputs along the first dimension and part the outputs again.

Input: requests of a model, one or more. Output: joined inputs, and from the outputs each request's own. Called by
`model`. With `max_batch_size` an output has exactly the rows of the inputs, for one request as for many; anything else
is the model's error and is never parted by position, or one caller would get another's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import torch
from interface import Entry, Role
from ragged import count
from sequences import Place
from tensors import ShapeError, check_kind, check_shape


class BatchError(Exception):
    """The requests do not go together."""


@dataclass(frozen=True)
class Request:
    """One request: a value for each input in the interface's order, None where none was sent.

    `shapes` are those that were sent; `rows` is the size of their first dimension, None without batching; `place` is
    where in a sequence it is.
    """

    values: list[Any]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rows: int | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Batch:
    """Joined requests."""

    requests: list[Request]

    def join(self, entries: tuple[Entry, ...]) -> list[Any]:
        """Give the inputs; raises `BatchError` when one lacks an input that another has, or rows do not agree."""
        columns = zip(entries, zip(*(request.values for request in self.requests), strict=True), strict=True)
        return [self._joined(entry, list(column)) for entry, column in columns]

    def split(self, entries: tuple[Entry, ...], outputs: list[Any]) -> list[list[Any]]:
        """Give each request its rows of every output; raises `TensorError` when an output is not as promised."""
        for entry, output in zip(entries, outputs, strict=True):
            check_kind(entry, output)
        parted = [self._parted(entry, output) for entry, output in zip(entries, outputs, strict=True)]
        return [list(row) for row in zip(*parted, strict=True)]

    @property
    def _rows(self) -> int | None:
        known = [request.rows for request in self.requests if request.rows is not None]
        return sum(known) if len(known) == len(self.requests) else None

    def _joined(self, entry: Entry, column: list[Any]) -> Any:
        batched = self._rows is not None
        if entry.role is Role.COUNT:
            return count(entry, [request.shapes[entry.source] for request in self.requests])
        if entry.ragged and batched and all(isinstance(value, torch.Tensor) for value in column):
            return torch.cat([value.flatten() for value in column])
        if len(column) == 1:
            return column[0]
        if not batched or len({value is None for value in column}) > 1:
            raise BatchError("requests have different inputs")
        if column[0] is None:
            return None
        shapes = [request.shapes[entry.name] for request in self.requests]
        if [shape[:1] for shape in shapes] != [(request.rows,) for request in self.requests]:
            raise BatchError("inputs have different numbers of rows")
        if len({shape[1:] for shape in shapes}) > 1:
            raise BatchError("requests have different shapes")
        return [text for texts in column for text in texts] if isinstance(column[0], list) else torch.cat(column)

    def _parted(self, entry: Entry, output: Any) -> list[Any]:
        if entry.role is Role.COUNT:
            return self._cut(entry, output)
        rows = self._rows
        check_shape(entry, output, rows)
        if len(self.requests) == 1:
            return [output]
        assert rows is not None  # noqa: S101 - `join` refused anything else
        size = len(output) // rows if rows else 0
        ends = [0]
        for request in self.requests:
            ends.append(ends[-1] + (request.rows or 0) * size)
        return [output[start:end] for start, end in pairwise(ends)]

    def _cut(self, entry: Entry, output: Any) -> list[Any]:
        """Part numbers in one row by the shapes of an input, as BATCH_SCATTER_WITH_INPUT_SHAPE says."""
        shapes = [request.shapes[entry.source] for request in self.requests]
        sizes = [prod(shape) for shape in shapes]
        if sum(sizes) != output.numel():
            raise ShapeError(
                f"output '{entry.name}' has {output.numel()} elements, but input '{entry.source}' has {sum(sizes)}, "
                "and batch_output gives each request the shape of its own"
            )
        parts = torch.split(output.flatten(), sizes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
