"""What a caller gives, held against what the model takes: nothing leaves for the server that it would refuse.

Pure. Input: a mapping of input names, or one value for a model of one input. Output: arrays by input name, of the
declared types and shapes. The clients call it before anything is sent. Raises InvalidRequestError.

One row may be given without its batch dimension, which is then added: [28,28] for a declared [-1,28,28]. A list of
Python values for a declared [-1,1] is taken as one row each.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import ModelInterface, TensorInterface, fits
from triton_operator.sdk.tensors import Array, data_type
from triton_operator.sdk.values import to_array
from triton_operator.triton.model_file.signature import ANY

_ONE_EACH = (ANY, 1)


def prepare_inputs(interface: ModelInterface, given: Any, *, cast: bool = False) -> dict[str, Array]:
    """Return the arrays to send; `cast` allows to round numbers and to change their width where they fit."""
    named = given if isinstance(given, Mapping) else {_only_input(interface): given}
    declared = {tensor.name: tensor for tensor in interface.inputs}
    for name in named:
        if name not in declared:
            raise InvalidRequestError(
                _place(name), f"{interface.model} has no such input{_did_you_mean(name, declared)}"
            )
    for name, tensor in declared.items():
        if name not in named and tensor.optional is False:  # Where the server does not tell it, it refuses itself.
            raise InvalidRequestError(_place(name), f"is missing; {interface.model} wants {tensor.shown}")
    arrays = {name: _input(value, declared[name], interface, cast=cast) for name, value in named.items()}
    _check_rows(arrays, interface)
    return arrays


def undeclared_inputs(given: Any) -> dict[str, Array]:
    """The arrays to send to a server that keeps its models' metadata secret: they say what they are themselves."""
    if not isinstance(given, Mapping):
        raise InvalidRequestError(
            "inputs", "the server does not tell the model's inputs; give a mapping of names to arrays"
        )
    for name, value in given.items():
        if not isinstance(value, np.ndarray):
            raise InvalidRequestError(_place(name), "the server does not tell the input's type; give a NumPy array")
    described = {
        name: TensorInterface(name, data_type(value, _place(name)), value.shape) for name, value in given.items()
    }
    return {name: to_array(value, described[name], _place(name)) for name, value in given.items()}


def _only_input(interface: ModelInterface) -> str:
    if len(interface.inputs) == 1:
        return interface.inputs[0].name
    names = ", ".join(tensor.name for tensor in interface.inputs)
    raise InvalidRequestError(
        "inputs", f"{interface.model} takes {len(interface.inputs)}: {names}; give a mapping of names"
    )


def _input(value: Any, wanted: TensorInterface, interface: ModelInterface, *, cast: bool) -> Array:
    place = _place(wanted.name)
    array = to_array(value, wanted, place, cast=cast)
    if fits(array.shape, wanted.shape):
        return array
    row = wanted.shape[1:]
    if interface.takes_rows and fits(array.shape, row):
        return array[None]
    if isinstance(value, str | bytes | int | float) and all(size in {ANY, 1} for size in wanted.shape):
        return array.reshape([1] * len(wanted.shape))
    if isinstance(value, list | tuple) and array.ndim == 1 and wanted.shape == _ONE_EACH:
        return array.reshape(-1, 1)
    given = str(list(array.shape)).replace(" ", "")
    hint = f" (or one row, {str(list(row)).replace(' ', '')})" if interface.takes_rows else ""
    raise InvalidRequestError(place, f"wanted {wanted.shown}{hint}, given {given}")


def _check_rows(arrays: Mapping[str, Array], interface: ModelInterface) -> None:
    """All inputs of a batch have the same rows, and at least one; only where there is a batch for sure."""
    if not interface.max_batch_size:
        return
    first: tuple[str, int] | None = None
    for name, array in arrays.items():
        rows = array.shape[0]
        if not rows:
            raise InvalidRequestError(_place(name), "has no row")
        if first and rows != first[1]:
            raise InvalidRequestError(_place(name), f"has {rows} rows, and {_place(first[0])} has {first[1]}")
        first = first or (name, rows)


def _place(name: object) -> str:
    return f"inputs[{name!r}]"


def _did_you_mean(name: object, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
