"""Tensors between three worlds: KServe v2 JSON, numpy, and Triton's names of data types.

Pure. Enters and leaves: the JSON of the inference protocol
(https://github.com/kserve/open-inference-protocol, `inputs[]` and `outputs[]`). The client and the CLI call it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from triton_operator.sdk.errors import InvalidRequestError

Array = npt.NDArray[Any]

DATA_TYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""Triton's types that numpy has too; BYTES holds `str` or `bytes`. BF16 has no numpy type."""


@dataclass(frozen=True)
class Request:
    """One inference: named input arrays, and the outputs wanted (all of them when empty)."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()
    model: str = ""


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any


class _Output(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    inputs: list[_Tensor]
    outputs: list[_Output] = msgspec.field(default_factory=list)
    model_name: str = ""


def parse_request(content: bytes) -> Request:
    """Read the JSON of a v2 inference request; raises InvalidRequestError."""
    try:
        body = msgspec.json.decode(content, type=_Body)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise InvalidRequestError(place.rstrip("`") or "request", message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError("request", f"is not JSON: {error}") from error
    inputs = {tensor.name: _array(tensor, f"inputs[{index}]") for index, tensor in enumerate(body.inputs)}
    return Request(inputs, tuple(output.name for output in body.outputs), body.model_name)


def _array(tensor: _Tensor, place: str) -> Array:
    if tensor.datatype not in DATA_TYPES:
        raise InvalidRequestError(f"{place}.datatype", f"{tensor.datatype!r} is not one of {', '.join(DATA_TYPES)}")
    flat = _values(tensor, f"{place}.data").reshape(-1)
    wanted = math.prod(tensor.shape)
    if flat.size != wanted or min(tensor.shape, default=0) < 0:
        raise InvalidRequestError(f"{place}.shape", f"{tensor.shape} asks for {wanted} values, data has {flat.size}")
    return flat.reshape(tensor.shape)


def _values(tensor: _Tensor, place: str) -> Array:
    """Convert without loss: numpy alone would cut 1.5 to 1 and read "no" as true."""
    wanted = DATA_TYPES[tensor.datatype]
    try:
        # numpy makes floats of a list with numbers below and above the largest signed one: those are looked at singly.
        found = np.array(tensor.data, dtype=np.object_ if tensor.datatype in {"BYTES", "UINT64"} else None)
        if found.size and not _fits(found, tensor.datatype):
            raise InvalidRequestError(place, f"has values that are no {tensor.datatype}")
        return np.array(tensor.data, dtype=wanted)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidRequestError(place, f"does not fit {tensor.datatype}: {error}") from error


def _fits(found: Array, datatype: str) -> bool:
    if datatype == "BYTES":
        return all(isinstance(value, str) for value in found.reshape(-1))
    if datatype == "UINT64":
        return all(type(value) is int for value in found.reshape(-1))
    if datatype == "BOOL":
        return found.dtype.kind == "b"
    return found.dtype.kind in ("iuf" if datatype.startswith("FP") else "iu")


def data_type(array: Array, name: str) -> str:
    """Triton's name of an array's type; raises InvalidRequestError for types that Triton does not have."""
    if array.dtype.kind in "OSU":
        return "BYTES"
    for known, numpy_type in DATA_TYPES.items():
        if array.dtype == numpy_type:
            return known
    raise InvalidRequestError(
        name, f"arrays of {array.dtype} cannot be sent; convert to one of {', '.join(DATA_TYPES)}"
    )


def to_json(name: str, array: Array) -> dict[str, Any]:
    """One output as v2 JSON: data flat, in row-major order, BYTES as text."""
    kind = data_type(array, name)
    values = array.reshape(-1).tolist()
    data = [_text(value) for value in values] if kind == "BYTES" else values
    return {"name": name, "datatype": kind, "shape": list(array.shape), "data": data}


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
