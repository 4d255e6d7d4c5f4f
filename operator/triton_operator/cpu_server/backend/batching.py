"""Run several requests as one batch: concatenate their inputs along the first dimension, and split the outputs.

Input: one or more requests of a model. Output: batched inputs, and each request's part of the outputs. `model` calls
it. With `max_batch_size`, an output must have exactly as many rows as the inputs. Anything else is the model's error,
and the output is not split, because one client could receive another client's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from typing import Any

import torch
from ragged import batch_input_tensor
from sequences import SequencePosition
from tensor_specs import ModelTensor, Role
from tensors import ShapeError, check_kind, check_shape


class BatchError(Exception):
    """The requests cannot be batched."""


@dataclass(frozen=True)
class ModelRequest:
    """One request: a value for each input in the interface's order, or None if an input was not sent.

    `shapes` are the shapes as sent. `rows` is the size of their first dimension, or None without batching. `position`
    is the request's position in its sequence.
    """

    values: list[Any]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rows: int | None = None
    position: SequencePosition | None = None

    def copy(self) -> ModelRequest:
        """Return a copy that a model may change, because some models compute in place."""
        values = [value.clone() if isinstance(value, torch.Tensor) else value for value in self.values]
        return replace(self, values=values)


@dataclass(frozen=True)
class Batch:
    """Requests that run together."""

    requests: list[ModelRequest]

    def join(self, specs: tuple[ModelTensor, ...]) -> list[Any]:
        """Return the batched inputs; raises `BatchError` if the requests' inputs, rows or shapes differ."""
        columns = zip(specs, zip(*(request.values for request in self.requests), strict=True), strict=True)
        return [self._join_column(spec, list(column)) for spec, column in columns]

    def split(self, specs: tuple[ModelTensor, ...], outputs: list[Any]) -> list[list[Any]]:
        """Return each request's part of every output; raises `TensorError` if an output does not match the config."""
        for spec, output in zip(specs, outputs, strict=True):
            check_kind(spec, output)
        parts = [self._split_output(spec, output) for spec, output in zip(specs, outputs, strict=True)]
        return [list(row) for row in zip(*parts, strict=True)]

    @property
    def _rows(self) -> int | None:
        known = [request.rows for request in self.requests if request.rows is not None]
        return sum(known) if len(known) == len(self.requests) else None

    def _join_column(self, spec: ModelTensor, column: list[Any]) -> Any:
        batched = self._rows is not None
        if spec.role is Role.COUNT:
            return batch_input_tensor(spec, [request.shapes[spec.source] for request in self.requests])
        if spec.ragged and batched and all(isinstance(value, torch.Tensor) for value in column):
            return torch.cat([value.flatten() for value in column])
        if len(column) == 1:
            return column[0]
        if not batched or len({value is None for value in column}) > 1:
            raise BatchError("requests have different inputs")
        if column[0] is None:
            return None
        shapes = [request.shapes[spec.name] for request in self.requests]
        if [shape[:1] for shape in shapes] != [(request.rows,) for request in self.requests]:
            raise BatchError("inputs have different numbers of rows")
        if len({shape[1:] for shape in shapes}) > 1:
            raise BatchError("requests have different shapes")
        return [text for texts in column for text in texts] if isinstance(column[0], list) else torch.cat(column)

    def _split_output(self, spec: ModelTensor, output: Any) -> list[Any]:
        if spec.role is Role.COUNT:
            return self._scatter(spec, output)
        rows = self._rows
        check_shape(spec, output, rows)
        if len(self.requests) == 1:
            return [output]
        assert rows is not None  # noqa: S101 - `join` rejected anything else
        size = len(output) // rows if rows else 0
        ends = [0]
        for request in self.requests:
            ends.append(ends[-1] + (request.rows or 0) * size)
        return [output[start:end] for start, end in pairwise(ends)]

    def _scatter(self, spec: ModelTensor, output: Any) -> list[Any]:
        """Split a flat output by the shapes of an input (BATCH_SCATTER_WITH_INPUT_SHAPE)."""
        shapes = [request.shapes[spec.source] for request in self.requests]
        sizes = [prod(shape) for shape in shapes]
        if sum(sizes) != output.numel():
            raise ShapeError(
                f"output '{spec.name}' has {output.numel()} elements, but input '{spec.source}' has {sum(sizes)}, "
                "and batch_output splits the output by the shapes of this input"
            )
        parts = torch.split(output.flatten(), sizes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
