"""Triton's names of data types, and NumPy's types for them. Pure."""

from __future__ import annotations

from typing import Any

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
"""Triton's types that NumPy has too; BYTES holds `str` or `bytes`."""
BF16 = "BF16"
"""NumPy has it only with the package ml_dtypes, whose arrays tritonclient sends."""


def data_type(array: Array, name: str) -> str:
    """Triton's name of an array's type; raises InvalidRequestError for types that Triton does not have."""
    if array.dtype.kind in "OSU":
        return "BYTES"
    if array.dtype.name == "bfloat16":
        return BF16
    for known, numpy_type in DATA_TYPES.items():
        if array.dtype == numpy_type:
            return known
    raise InvalidRequestError(
        name, f"arrays of {array.dtype} cannot be sent; convert to one of {', '.join(DATA_TYPES)}"
    )
