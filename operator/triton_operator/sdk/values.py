"""Convert a value to the array that a model's input takes, without loss.

Pure. Input: whatever a caller has (an array of NumPy or torch, a Pillow image, a text, a number, lists of these) and
the tensor that the model declares. Output: an array of that type; `inputs` checks its shape. Raises
InvalidRequestError, which names the tensor, the expected type and what it got.

NumPy and torch arrays must have the declared type, because a program that uses float64 means it. Python's own numbers
have no width, so they take the model's: integers must be in its range, fractions are rounded to it. `cast` also
converts arrays. Only NumPy is imported: a value of torch or Pillow comes with its library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.images import image_to_array
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.tensors import BF16, DATA_TYPES, Array

_INTEGERS = ("INT", "UINT")
_PLAIN = (str, bytes, bool, int, float)


def to_array(value: Any, tensor: TensorInterface, place: str, *, cast: bool = False) -> Array:
    """Return the value as an array of the tensor's type; `place` is what messages call the input."""
    dtype = numpy_dtype(tensor, place)
    if _is_instance("torch", "Tensor", value):
        return _typed(_from_torch(value, tensor, place), dtype, tensor, place, cast=cast)
    if is_image(value):
        return image_to_array(value, tensor, place)
    if isinstance(value, _PLAIN):
        return _from_python(value, dtype, tensor, place)
    if isinstance(value, list | tuple):
        return _from_list(value, dtype, tensor, place, cast=cast)
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidRequestError(place, "is a masked array, whose mask would be lost; use `.filled(…)`")
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return _typed(np.asarray(value), dtype, tensor, place, cast=cast)
    raise InvalidRequestError(place, f"expected {tensor.shown}, got {type(value).__name__}")


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


def _is_instance(module: str, name: str, value: object) -> bool:
    """Whether the value is of a class whose library is not imported here."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _from_torch(value: Any, tensor: TensorInterface, place: str) -> Array:
    try:
        array: Array = value.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:  # bfloat16, sparse and quantised tensors.
        raise InvalidRequestError(
            place, f"expected {tensor.shown}, got a torch tensor of {value.dtype}: {error}"
        ) from error
    return array


def _from_list(
    value: list[Any] | tuple[Any, ...], dtype: np.dtype[Any], tensor: TensorInterface, place: str, *, cast: bool
) -> Array:
    """A list of plain values is one array; a list of arrays or images is stacked."""
    try:
        if all(_is_plain(each) for each in value):
            return _from_python(value, dtype, tensor, place)
        parts = [to_array(each, tensor, f"{place}[{index}]", cast=cast) for index, each in enumerate(value)]
    except RecursionError as error:
        raise InvalidRequestError(place, f"expected {tensor.shown}, got lists that are nested too deeply") from error
    try:
        return np.stack(parts)
    except ValueError as error:
        shapes = ", ".join(str(list(part.shape)) for part in parts[:4])
        raise InvalidRequestError(place, f"has parts of different shapes: {shapes}") from error


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    return value is None or isinstance(value, _PLAIN)


def _from_python(value: Any, dtype: np.dtype[Any], tensor: TensorInterface, place: str) -> Array:
    """Convert Python's own values. Their types are checked, because NumPy would convert texts and booleans."""
    shape, leaves = _shape(value, tensor, place), list(_leaves(value))
    if tensor.datatype == "BYTES":
        return _texts(leaves, tensor, place).reshape(shape)
    types = {type(each) for each in leaves}
    if not types <= _python_types(tensor.datatype):
        names = ", ".join(sorted(each.__name__ for each in types))
        raise InvalidRequestError(place, f"expected {tensor.shown}, got values of type {names}")
    return _numbers(leaves, dtype, tensor, place).reshape(shape)


def _shape(value: Any, tensor: TensorInterface, place: str) -> list[int]:
    """The shape of nested lists, whose items must have the same one."""
    if not isinstance(value, list | tuple):
        return []
    shapes = [_shape(item, tensor, place) for item in value]
    odd = next((index for index, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        raise InvalidRequestError(
            place, f"expected {tensor.shown}: item {odd} has shape {shapes[odd]}, the first has {shapes[0]}"
        )
    return [len(value), *(shapes[0] if shapes else [])]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _python_types(datatype: str) -> set[type]:
    if datatype == "BOOL":
        return {bool}
    return {int} if datatype.startswith(_INTEGERS) else {int, float}


def _numbers(leaves: list[Any], dtype: np.dtype[Any], tensor: TensorInterface, place: str) -> Array:
    """Numbers and booleans of that type; raises InvalidRequestError for the first one that is out of range."""
    try:
        if dtype.kind in "biu":
            return np.array(leaves, dtype=dtype)
        wide = np.array(leaves, dtype=np.float64)
        with np.errstate(over="ignore"):
            array = wide.astype(dtype)
        lost = np.flatnonzero(np.isinf(array) & np.isfinite(wide))
        if not lost.size:
            return array
        value = leaves[lost[0]]
    except OverflowError:
        value = next(each for each in leaves if not _in_range(each, dtype))
    raise InvalidRequestError(place, f"expected {tensor.shown}: {str(value)[:40]} is out of range")


def _in_range(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether NumPy can convert the number; it can convert every float."""
    limit = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(np.float64)
    return isinstance(value, float) or int(limit.min) <= value <= int(limit.max)


def _texts(values: list[Any], tensor: TensorInterface, place: str) -> Array:
    """Texts as UTF-8, as every other client sends them; bytes as they are."""
    array = np.empty(len(values), dtype=np.object_)
    for index, each in enumerate(values):
        if isinstance(each, str):
            try:
                array[index] = each.encode()
            except UnicodeEncodeError as error:
                raise InvalidRequestError(place, f"has a text that is not valid Unicode: {error}") from error
        elif isinstance(each, bytes):
            array[index] = each
        else:
            raise InvalidRequestError(place, f"expected {tensor.shown}, got values of type {type(each).__name__}")
    return array


def _typed(array: Array, dtype: np.dtype[Any], tensor: TensorInterface, place: str, *, cast: bool) -> Array:
    """The array itself if it has the expected type, in this machine's byte order."""
    if dtype == np.object_:
        if array.dtype.kind in "OSUT":
            return _texts(array.astype(np.object_).reshape(-1).tolist(), tensor, place).reshape(array.shape)
    elif array.dtype == dtype:
        return array
    elif array.dtype.kind in "biuf" and array.dtype.newbyteorder("=") == dtype:
        return array.astype(dtype)
    elif cast and (converted := _cast(array, dtype)) is not None:
        return converted
    got = f"{array.dtype} {list(array.shape)}".replace(", ", ",")
    raise InvalidRequestError(place, f"expected {tensor.shown}, got {got}{_remedy(array, tensor, cast=cast)}")


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


def _remedy(array: Array, tensor: TensorInterface, *, cast: bool) -> str:
    if cast or array.dtype.kind not in "iuf" or tensor.datatype in {"BYTES", "BOOL", BF16}:
        return ""
    return f"; convert it with `.astype(np.{DATA_TYPES[tensor.datatype].__name__})`, or pass cast=True"
