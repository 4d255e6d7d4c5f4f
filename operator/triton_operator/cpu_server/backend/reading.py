"""Read a request of Triton: the values of its inputs in the order of the interface, and the state of its sequence.

Input: Triton's request. Output: `Request`, or the exception that belongs to it alone. Called by `model`.
"""

from __future__ import annotations

from typing import Any

import torch
import triton_python_backend_utils as pb
from batching import Request
from interface import Entry, Interface, Role
from sequences import Place, Sequences, place_of, zeros
from tensors import read_tensor


class Reader:
    """Reads the requests of one model; `sequences` has the states, None for a model that has none."""

    def __init__(self, interface: Interface, sequences: Sequences | None, *, batched: bool) -> None:
        self._interface = interface
        self._sequences = sequences
        self._batched = batched

    def read(self, request: Any) -> Request | Exception:
        """Give the request, or what is wrong with it."""
        try:
            values, shapes = [], {}
            for entry in self._interface.inputs:
                tensor = None if entry.role is Role.COUNT else pb.get_input_tensor_by_name(request, entry.name)
                value, shape = (None, None) if tensor is None else read_tensor(tensor, entry)
                values.append(value)
                if shape is not None:
                    shapes[entry.name] = shape
            rows = next((shape[0] for shape in shapes.values() if shape), None) if self._batched else None
            self._fill(values, shapes, rows)
            if self._sequences is None:
                return Request(values, shapes, rows)
            place = place_of(request)
            self._set_states(values, shapes, self._sequences, place)
            return Request(values, shapes, rows, place)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's alone.
            return error

    def _fill(self, values: list[Any], shapes: dict[str, tuple[int, ...]], rows: int | None) -> None:
        """Put zeros where Triton leaves something open: a warm-up need not say what a sequence has."""
        front = () if rows is None else (rows,)
        for index, entry in enumerate(self._interface.inputs):
            if _is_empty(entry, values[index]):
                shapes.setdefault(entry.name, (*front, *(1 if size < 0 else size for size in entry.dims)))
                values[index] = zeros(entry.dtype, shapes[entry.name])

    def _set_states(
        self, values: list[Any], shapes: dict[str, tuple[int, ...]], sequences: Sequences, place: Place
    ) -> None:
        """Put the sequence's states in the place of Triton's, which stay as they were at the start."""
        places = [index for index, entry in enumerate(self._interface.inputs) if entry.role is Role.STATE]
        for index, state in zip(places, sequences.state(place, [values[each] for each in places]), strict=True):
            values[index] = state
            if isinstance(state, torch.Tensor):
                shapes[self._interface.inputs[index].name] = tuple(state.shape)


def _is_empty(entry: Entry, value: Any) -> bool:
    """Whether nobody filled it: a state that the config gives no beginning is whatever lay in memory."""
    if entry.role is Role.STATE:
        return value is None or not entry.starts_given
    return entry.role is Role.CONTROL and value is None
