"""Check a caller's values against the model's inputs before they are sent.

Pure. Input: a mapping from input names to values, or one value for a model with one input. Output: arrays by input
name, of the declared types and shapes. The clients call it before they send anything, and the CLI after it has decoded
a file. Raises InvalidRequestError, which names the input.

A NumPy or torch array must have the declared shape; only the batch dimension of one row is added: [28,28] for a
declared [-1,28,28]. For lists, single values and images, dimensions of size 1 are added or removed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import ModelInterface, TensorInterface, fits
from triton_operator.sdk.tensors import Array, data_type
from triton_operator.sdk.values import is_image, to_array
from triton_operator.triton.model_file.signature import ANY


def prepare_inputs(interface: ModelInterface, values: Any, *, cast: bool = False) -> dict[str, Array]:
    """Return the arrays to send; `cast` permits rounding numbers, and changing their width if they fit."""
    by_name = values if isinstance(values, Mapping) else {_only_input(interface): values}
    declared = {tensor.name: tensor for tensor in interface.inputs}
    for name in by_name:
        if name not in declared:
            raise InvalidRequestError(place_of(name), f"{interface.model} has no such input{_hint(name, declared)}")
    for name, tensor in declared.items():
        if name not in by_name and tensor.optional is False:  # If this is unknown, the server decides.
            raise InvalidRequestError(place_of(name), f"is missing; {interface.model} expects {tensor.shown}")
    arrays = {name: _input(value, declared[name], interface, cast=cast) for name, value in by_name.items()}
    _check_rows(arrays, interface)
    return arrays


def undeclared_inputs(values: Any) -> dict[str, Array]:
    """The arrays to send to a server that does not report its models' metadata: they have their own types."""
    if not isinstance(values, Mapping):
        raise InvalidRequestError(
            "inputs", "the server does not report the model's inputs; pass a mapping of names to arrays"
        )
    return {name: _undeclared_input(name, value) for name, value in values.items()}


def place_of(name: object) -> str:
    """The name of an input in messages."""
    return f"inputs[{name!r}]"


def _only_input(interface: ModelInterface) -> str:
    if len(interface.inputs) == 1:
        return interface.inputs[0].name
    names = ", ".join(tensor.name for tensor in interface.inputs)
    raise InvalidRequestError(
        "inputs", f"{interface.model} has {len(interface.inputs)} ({names}); pass each value with its name"
    )


def _undeclared_input(name: str, value: Any) -> Array:
    place = place_of(name)
    if not isinstance(value, np.ndarray):
        raise InvalidRequestError(place, "the server does not report the input's type; pass a NumPy array")
    return to_array(value, TensorInterface(name, data_type(value, place), value.shape), place)


def _input(value: Any, tensor: TensorInterface, interface: ModelInterface, *, cast: bool) -> Array:
    array = to_array(value, tensor, place_of(tensor.name), cast=cast)
    if fits(array.shape, tensor.shape):
        return array
    if interface.takes_rows and fits(array.shape, tensor.row):
        return array[None]
    shape = _shape_with_ones(array.shape, tensor) if _has_loose_shape(value) else None
    if shape is not None:
        return array.reshape(shape)
    row = f" (or one row, {_brackets(tensor.row)})" if interface.takes_rows else ""
    raise InvalidRequestError(
        place_of(tensor.name), f"expected {tensor.shown}{row}, got shape {_brackets(array.shape)}"
    )


def _has_loose_shape(value: object) -> bool:
    """Whether dimensions of size 1 may be adapted: for plain values and images, but not for arrays."""
    return isinstance(value, str | bytes | int | float | list | tuple) or is_image(value)


def _shape_with_ones(shape: tuple[int, ...], tensor: TensorInterface) -> tuple[int, ...] | None:
    """The declared shape that differs from this one in dimensions of size 1 only; None if there is none."""
    size, declared = math.prod(shape), tensor.shape
    if fits((1, *shape), declared):
        return (1, *shape)
    if size == 1 and all(each in {ANY, 1} for each in declared):
        return (1,) * len(declared)
    for rows in ((1,), shape[:1]) if tensor.batched else ((),):
        candidate = (*rows, *tensor.row)
        if fits(candidate, declared) and ANY not in candidate and _without_ones(candidate) == _without_ones(shape):
            return candidate
    return None


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _check_rows(arrays: Mapping[str, Array], interface: ModelInterface) -> None:
    """All inputs of a batch have the same number of rows, and at least one; only if the batch is declared."""
    if not interface.max_batch_size:
        return
    first: tuple[str, int] | None = None
    for name, array in arrays.items():
        rows = array.shape[0]
        if not rows:
            raise InvalidRequestError(place_of(name), "has no rows")
        if first and rows != first[1]:
            raise InvalidRequestError(place_of(name), f"has {rows} rows, but {place_of(first[0])} has {first[1]}")
        first = first or (name, rows)


def _brackets(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _hint(name: object, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
