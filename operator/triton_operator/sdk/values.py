"""Convert a value to the array that a model's input takes, without loss.

Pure. Input: a caller's value (an array of NumPy or torch, a Pillow image, a text, a number, a list of these) and
the tensor that the model declares. Output: an array of that type; `inputs` checks its shape. Raises
InvalidRequestError, which names the tensor, the expected type and what it got.

NumPy and torch arrays must have the declared type, because a program that uses float64 does so intentionally. Python
numbers have no width, so they are converted to the model's type: integers must be in its range, and fractions are
rounded to it. `cast` also converts arrays. Only NumPy is imported: a value of torch or Pillow comes with its library.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.images import image_to_array
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.tensors import BF16, DATA_TYPES, Array

_PLAIN = (str, bytes, bool, int, float)
_TOO_DEEP = ", got lists that are nested too deeply"


def to_array(value: Any, tensor: TensorInterface, place: str, *, cast: bool = False) -> Array:
    """Return the value as an array of the tensor's type; `place` names the input in messages."""
    return _convert(value, _Conversion(tensor, place, numpy_dtype(tensor, place), cast))


def numpy_dtype(tensor: TensorInterface, place: str) -> np.dtype[Any]:
    """Return NumPy's type for the tensor's; raises InvalidRequestError if there is none."""
    if tensor.datatype in DATA_TYPES:
        return np.dtype(DATA_TYPES[tensor.datatype])
    if tensor.datatype != BF16:
        raise InvalidRequestError(place, f"has the type {tensor.datatype}, which NumPy does not have")
    try:
        import ml_dtypes
    except ImportError as error:
        raise InvalidRequestError(place, f"has the type {BF16}, which needs the package ml_dtypes") from error
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def is_image(value: object) -> bool:
    """Whether the value is a Pillow image."""
    return _is_instance("PIL.Image", "Image", value)


@dataclass(frozen=True)
class _Conversion:
    """The type that a value is converted to, and its name in messages."""

    tensor: TensorInterface
    place: str
    dtype: np.dtype[Any]
    cast: bool

    def mismatch(self, message: str) -> InvalidRequestError:
        """The error; the message continues "expected FP32 [-1,2]"."""
        return InvalidRequestError(self.place, f"expected {self.tensor.shown}{message}")


def _convert(value: Any, target: _Conversion) -> Array:
    if _is_instance("torch", "Tensor", value):
        return _from_array(_from_torch(value, target), target)
    if is_image(value):
        return image_to_array(value, target.tensor, target.place)
    if isinstance(value, _PLAIN):
        return _from_python(value, target)
    if isinstance(value, list | tuple):
        return _from_list(value, target)
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidRequestError(target.place, "is a masked array, whose mask would be lost; use `.filled(…)`")
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return _from_array(np.asarray(value), target)
    raise target.mismatch(f", got {type(value).__name__}")


def _is_instance(module: str, name: str, value: object) -> bool:
    """Whether the value is of a class whose library is not imported here."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _from_torch(value: Any, target: _Conversion) -> Array:
    try:
        array: Array = value.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:  # bfloat16, sparse and quantised tensors.
        raise target.mismatch(f", got a torch tensor of {value.dtype}: {error}") from error
    return array


def _from_list(value: list[Any] | tuple[Any, ...], target: _Conversion) -> Array:
    """A list of plain values is one array; a list of arrays or images is stacked."""
    try:
        if _is_plain(value):
            return _from_python(value, target)
        parts = [_convert(each, replace(target, place=f"{target.place}[{at}]")) for at, each in enumerate(value)]
    except RecursionError as error:
        raise target.mismatch(_TOO_DEEP) from error
    try:
        return np.stack(parts)
    except ValueError as error:
        shapes = ", ".join(str(list(part.shape)) for part in parts[:4])
        raise InvalidRequestError(target.place, f"has parts of different shapes: {shapes}") from error


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    return value is None or isinstance(value, _PLAIN)


def _from_python(value: Any, target: _Conversion) -> Array:
    """Convert Python's own values. Their types are checked, because NumPy would convert texts and booleans."""
    leaves = _leaves(value, target)
    if target.tensor.datatype == "BYTES":
        return _texts(leaves, target)
    types = {type(each) for each in leaves.flat}
    if not types <= _python_types(target.dtype):
        raise target.mismatch(f", got values of type {', '.join(sorted(each.__name__ for each in types))}")
    return _numbers(leaves, target)


def _leaves(value: Any, target: _Conversion) -> Array:
    """The values as they are, in the shape of the lists, whose items must have the same one."""
    leaves = np.array(value, dtype=np.object_)  # It ends where the lists differ, or at NumPy's limit of dimensions.
    if any(isinstance(each, list | tuple) for each in leaves.flat):
        shapes = [list(np.array(each, dtype=np.object_).shape) for each in leaves.flat]
        for index, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise target.mismatch(f": item {index} has shape {shape}, the first has {shapes[0]}")
        raise target.mismatch(_TOO_DEEP)
    return leaves


def _python_types(dtype: np.dtype[Any]) -> set[type]:
    if dtype.kind == "b":
        return {bool}
    return {int} if dtype.kind in "iu" else {int, float}


def _numbers(leaves: Array, target: _Conversion) -> Array:
    """Numbers and booleans; raises InvalidRequestError for the first one that is out of range."""
    dtype = target.dtype
    if dtype.kind == "b":
        return leaves.astype(dtype)
    if dtype.kind in "iu":
        limit = np.iinfo(dtype)
        _reject([each for each in leaves.flat if not limit.min <= each <= limit.max], target)
        return leaves.astype(dtype)
    _reject([each for each in leaves.flat if isinstance(each, int) and abs(each) > sys.float_info.max], target)
    wide = leaves.astype(np.float64)
    with np.errstate(over="ignore"):
        array = wide.astype(dtype)
    _reject(leaves[np.isinf(array) & np.isfinite(wide)].tolist(), target)
    return array


def _reject(out_of_range: list[Any], target: _Conversion) -> None:
    if out_of_range:
        raise target.mismatch(f": {str(out_of_range[0])[:40]} is out of range")


def _texts(leaves: Array, target: _Conversion) -> Array:
    """Texts as UTF-8, as every other client sends them; bytes as they are."""
    array = np.empty(leaves.shape, dtype=np.object_)
    for index, each in np.ndenumerate(leaves):
        if not isinstance(each, str | bytes):
            raise target.mismatch(f", got values of type {type(each).__name__}")
        try:
            array[index] = each.encode() if isinstance(each, str) else each
        except UnicodeEncodeError as error:
            raise InvalidRequestError(target.place, f"has a text that is not valid Unicode: {error}") from error
    return array


def _from_array(array: Array, target: _Conversion) -> Array:
    """The array itself if it has the expected type, in this machine's byte order."""
    dtype = target.dtype
    if target.tensor.datatype == "BYTES":
        if array.dtype.kind in "OSUT":
            return _texts(array.astype(np.object_), target)
    elif array.dtype == dtype:
        return array
    elif array.dtype.kind in "biuf" and array.dtype.newbyteorder("=") == dtype:
        return array.astype(dtype)
    elif target.cast and (converted := _cast(array, dtype)) is not None:
        return converted
    raise target.mismatch(f", got {array.dtype} {str(list(array.shape)).replace(' ', '')}{_remedy(array, target)}")


def _cast(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """The nearest array of that type; None if a value would change by more than rounding."""
    if array.dtype.kind not in "iuf" or dtype.kind not in "iuf" or (array.dtype.kind == "f" and dtype.kind != "f"):
        return None
    try:
        with np.errstate(over="raise"):
            converted = array.astype(dtype)
    except FloatingPointError:
        return None
    exact = dtype.kind == "f" or bool(np.all(converted.astype(object) == array.astype(object)))
    return converted if exact else None


def _remedy(array: Array, target: _Conversion) -> str:
    if target.cast or array.dtype.kind not in "iuf" or target.dtype.kind not in "iuf":
        return ""
    return f"; convert it with `.astype(np.{target.dtype.name})`, or pass cast=True"
