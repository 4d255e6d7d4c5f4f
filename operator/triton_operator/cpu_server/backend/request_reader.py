"""Read a request of Triton: the values of its inputs in the order of the interface, and the state of its sequence.

Input: Triton's request. Output: `ModelRequest`, or an exception that affects only this request. `model` calls it.
"""

from __future__ import annotations

from typing import Any

import torch
import triton_python_backend_utils as pb
from batching import ModelRequest
from interface import Interface
from sequences import SequencePosition, Sequences, position_of, zeros
from tensor_specs import ModelTensor, Role
from tensors import read_tensor


class RequestReader:
    """Reads the requests of one model; `sequences` contains its states, or is None for a model without states."""

    def __init__(self, interface: Interface, sequences: Sequences | None, *, batched: bool) -> None:
        self._interface = interface
        self._sequences = sequences
        self._batched = batched

    def read(self, request: Any) -> ModelRequest | Exception:
        """Return the request, or an exception if it is invalid."""
        try:
            values, shapes = [], {}
            for spec in self._interface.inputs:
                tensor = None if spec.role is Role.COUNT else pb.get_input_tensor_by_name(request, spec.name)
                value, shape = (None, None) if tensor is None else read_tensor(tensor, spec)
                values.append(value)
                if shape is not None:
                    shapes[spec.name] = shape
            rows = next((shape[0] for shape in shapes.values() if shape), None) if self._batched else None
            self._fill_missing(values, shapes, rows)
            if self._sequences is None:
                return ModelRequest(values, shapes, rows)
            position = position_of(request)
            self._set_states(values, shapes, self._sequences, position)
            return ModelRequest(values, shapes, rows, position)
        except Exception as error:  # noqa: BLE001 - any error affects only this request.
            return error

    def _fill_missing(self, values: list[Any], shapes: dict[str, tuple[int, ...]], rows: int | None) -> None:
        """Fill missing states and controls with zeros: a warm-up may omit them."""
        front = () if rows is None else (rows,)
        for index, spec in enumerate(self._interface.inputs):
            if _is_missing(spec, values[index]):
                shapes.setdefault(spec.name, (*front, *(1 if size < 0 else size for size in spec.dims)))
                values[index] = zeros(spec.dtype, shapes[spec.name])

    def _set_states(
        self, values: list[Any], shapes: dict[str, tuple[int, ...]], sequences: Sequences, position: SequencePosition
    ) -> None:
        """Replace the states from Triton, which stay as they were at the start, by those of the sequence."""
        indices = [index for index, spec in enumerate(self._interface.inputs) if spec.role is Role.STATE]
        for index, state in zip(indices, sequences.state(position, [values[each] for each in indices]), strict=True):
            values[index] = state
            if isinstance(state, torch.Tensor):
                values[index] = state.clone()  # A model that fails may have changed it in place.
                shapes[self._interface.inputs[index].name] = tuple(state.shape)


def _is_missing(spec: ModelTensor, value: Any) -> bool:
    """Whether a value is missing: Triton does not initialize a state without `initial_state`."""
    if spec.role is Role.STATE:
        return value is None or not spec.has_initial_state
    return spec.role is Role.CONTROL and value is None
