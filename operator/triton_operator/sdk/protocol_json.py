"""Convert between the JSON of the inference protocol and arrays.

Pure. Input and output: the `inputs[]` and `outputs[]` of KServe v2
(https://github.com/kserve/open-inference-protocol). The CLI calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.tensors import BF16, DATA_TYPES, Array, data_type
from triton_operator.sdk.values import to_array


@dataclass(frozen=True)
class RequestBody:
    """One inference: input arrays by name, and the requested outputs (all of them if empty)."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()
    model: str = ""


class _InputJson(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any


class _OutputJson(msgspec.Struct):
    name: str


class _RequestJson(msgspec.Struct):
    inputs: list[_InputJson]
    outputs: list[_OutputJson] = msgspec.field(default_factory=list)
    model_name: str = ""


def parse_request(content: bytes) -> RequestBody:
    """Read the JSON of a v2 inference request; raises InvalidRequestError."""
    try:
        body = msgspec.json.decode(content, type=_RequestJson)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise InvalidRequestError(place.rstrip("`") or "request", message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError("request", f"is not JSON: {error}") from error
    inputs = {tensor.name: _array(tensor, f"inputs[{index}]") for index, tensor in enumerate(body.inputs)}
    return RequestBody(inputs, tuple(output.name for output in body.outputs), body.model_name)


def to_json(name: str, array: Array) -> dict[str, Any]:
    """One output as v2 JSON: data flat, in row-major order, BYTES as text."""
    datatype = data_type(array, name)
    values = array.reshape(-1).tolist()
    data = [_text(value) for value in values] if datatype == "BYTES" else values
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def _array(tensor: _InputJson, place: str) -> Array:
    """The tensor's data, nested or flat, in its shape."""
    if tensor.datatype not in {*DATA_TYPES, BF16}:
        known = ", ".join((*DATA_TYPES, BF16))
        raise InvalidRequestError(f"{place}.datatype", f"{tensor.datatype!r} is not one of {known}")
    declared = TensorInterface(tensor.name, tensor.datatype, tuple(tensor.shape))
    flat = to_array(tensor.data, declared, f"{place}.data").reshape(-1)
    size = math.prod(tensor.shape)
    if flat.size != size or min(tensor.shape, default=0) < 0:
        raise InvalidRequestError(f"{place}.shape", f"{tensor.shape} has {size} values, but data has {flat.size}")
    return flat.reshape(tensor.shape)


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
