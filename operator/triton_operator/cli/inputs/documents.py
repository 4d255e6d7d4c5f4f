"""JSON as tensors: a request of the inference protocol, or only the values.

Input: the text of a file, and the model where the values alone are given. Output: a request. Values are lists: of the
model's one input, or an object with a member for each input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model, Tensor, fit, numpy_type
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.tensors import Array, Request, parse_request


def read_document(content: bytes, model: Callable[[], Model], source: str) -> Request:
    """Return the request; calls `model` only for an incomplete file. Raises UsageError, InvalidRequestError."""
    try:
        return _read(content, model, source)
    except RecursionError as error:
        raise UsageError(f"{source}: its lists are nested too deeply") from error


def _read(content: bytes, model: Callable[[], Model], source: str) -> Request:
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: is not JSON: {error}") from error
    if isinstance(body, dict) and isinstance(body.get("inputs"), list):
        try:
            return parse_request(content)
        except InvalidRequestError as error:
            raise InvalidRequestError(source, str(error)) from error
    return Request(_values(body, model(), source))


def _values(body: Any, model: Model, source: str) -> dict[str, Array]:
    if not isinstance(body, dict):
        tensor = model.only(model.inputs, "a list or value", source)
        return {tensor.name: _array(body, tensor, source)}
    known = {tensor.name: tensor for tensor in model.inputs}
    wrong = [name for name in body if name not in known] + [name for name in known if name not in body]
    if wrong:
        raise UsageError(f"{source}: {wrong[0]!r} is {'missing' if wrong[0] in known else 'no input'}; {model.shown}")
    return {name: _array(value, known[name], f"{source}: {name}") for name, value in body.items()}


def _array(value: Any, tensor: Tensor, place: str) -> Array:
    """Nested lists as the tensor; the SDK's reading of requests checks that no value is changed on the way."""
    numpy_type(tensor, place)
    shape = _shape(value, place)
    given = {"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": _flat(value)}
    try:
        array = parse_request(msgspec.json.encode({"inputs": [given]})).inputs[tensor.name]
    except InvalidRequestError as error:
        raise UsageError(f"{place}: {str(error).partition(': ')[2]}; the model takes {tensor.shown}") from error
    return fit(array, tensor, place)


def _shape(value: Any, place: str) -> list[int]:
    if not isinstance(value, list):
        return []
    shapes = [_shape(item, place) for item in value]
    odd = next((index for index, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        raise UsageError(f"{place}: item {odd} has shape {shapes[odd]}, the first has {shapes[0]}")
    return [len(value), *(shapes[0] if shapes else [])]


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]
