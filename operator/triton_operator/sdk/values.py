"""One value of a program as the array that a model's input takes, without loss.

Pure. Input: whatever a caller has (an array of NumPy or torch, a picture of Pillow, a text, a number, lists of these)
and the tensor that the model declares. Output: an array of that type; its shape is `inputs`' affair. Raises
InvalidRequestError, which names the tensor, what was given and what is wanted.

NumPy and torch arrays must have the declared type: a program that says float64 means it. Python's own numbers have no
width, so they take the model's: whole numbers must fit it, fractions are rounded to it. `cast` asks for more.
Nothing is imported here but NumPy: a value that is of torch or Pillow has brought its library along.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.pictures import picture_to_array
from triton_operator.sdk.tensors import DATA_TYPES, Array

BF16 = "BF16"
"""Known to NumPy by the package ml_dtypes only, whose arrays tritonclient sends."""

_INTEGERS = ("INT", "UINT")


def to_array(value: Any, wanted: TensorInterface, place: str, *, cast: bool = False) -> Array:
    """Return the value as an array of the wanted type; `place` is what messages call the input."""
    if wanted.datatype not in DATA_TYPES and wanted.datatype != BF16:
        raise InvalidRequestError(place, f"is a {wanted.datatype}, which no NumPy array can be")
    if _is_of("torch", "Tensor", value):
        return _typed(_from_torch(value, wanted, place), wanted, place, cast=cast)
    if _is_of("PIL.Image", "Image", value):
        return picture_to_array(value, wanted, place)
    if isinstance(value, str | bytes | bool | int | float):
        return _from_python(value, wanted, place)
    if isinstance(value, list | tuple):
        return _from_list(value, wanted, place, cast=cast)
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidRequestError(place, "is a masked array, and its mask would be lost; use `.filled(…)`")
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return _typed(np.asarray(value), wanted, place, cast=cast)
    raise InvalidRequestError(place, f"wanted {wanted.shown}, given {type(value).__name__}")


def _is_of(module: str, name: str, value: object) -> bool:
    """Whether the value is of a class whose library we do not import ourselves."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _from_torch(value: Any, wanted: TensorInterface, place: str) -> Array:
    try:
        array: Array = value.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:  # bfloat16, sparse and quantised tensors.
        raise InvalidRequestError(
            place, f"wanted {wanted.shown}, given a torch tensor of {value.dtype}: {error}"
        ) from error
    return array


def _from_list(value: list[Any] | tuple[Any, ...], wanted: TensorInterface, place: str, *, cast: bool) -> Array:
    """A list of plain values is one array; a list of arrays or pictures is stacked, each made by itself."""
    if all(_is_plain(each) for each in value):
        return _from_python(value, wanted, place)
    parts = [to_array(each, wanted, f"{place}[{index}]", cast=cast) for index, each in enumerate(value)]
    try:
        return np.stack(parts)
    except ValueError as error:
        shapes = ", ".join(str(list(part.shape)) for part in parts[:4])
        raise InvalidRequestError(place, f"has parts of different shapes: {shapes}") from error


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    return value is None or isinstance(value, str | bytes | bool | int | float)


def _from_python(value: Any, wanted: TensorInterface, place: str) -> Array:
    """Python's own values: each must be of the wanted kind, as NumPy would make numbers of texts and truths."""
    flat = np.array(value, dtype=np.object_) if wanted.datatype == "BYTES" else None
    if flat is not None:
        return _texts(flat, wanted, place)
    kinds = {type(each) for each in _leaves(value)}
    if not kinds <= _kinds(wanted.datatype):
        given = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidRequestError(place, f"wanted {wanted.shown}, given values of type {given}")
    try:
        with np.errstate(over="raise"):
            return np.array(value, dtype=_numpy_type(wanted, place))
    except (ValueError, OverflowError, FloatingPointError) as error:
        raise InvalidRequestError(place, f"wanted {wanted.shown}: {error}") from error


def _leaves(value: Any) -> Any:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _kinds(datatype: str) -> set[type]:
    if datatype == "BOOL":
        return {bool}
    return {int} if datatype.startswith(_INTEGERS) else {int, float}


def _texts(array: Array, wanted: TensorInterface, place: str) -> Array:
    """Texts as UTF-8, as every other client sends them; bytes as they are."""
    flat = np.empty(array.size, dtype=np.object_)
    for index, each in enumerate(array.reshape(-1)):
        if isinstance(each, str):
            try:
                flat[index] = each.encode()
            except UnicodeEncodeError as error:
                raise InvalidRequestError(place, f"has a text that is no Unicode: {error}") from error
        elif isinstance(each, bytes):
            flat[index] = each
        else:
            raise InvalidRequestError(place, f"wanted {wanted.shown}, given values of type {type(each).__name__}")
    return flat.reshape(array.shape)


def _typed(array: Array, wanted: TensorInterface, place: str, *, cast: bool) -> Array:
    """The array itself where it has the wanted type, in this machine's order of bytes."""
    if wanted.datatype == "BYTES":
        if array.dtype.kind in "OSUT":
            return _texts(array.astype(np.object_), wanted, place)
    elif array.dtype == _numpy_type(wanted, place):
        return array
    elif array.dtype.kind in "biuf" and array.dtype.newbyteorder("=") == _numpy_type(wanted, place):
        return array.astype(array.dtype.newbyteorder("="))
    elif cast and (found := _cast(array, _numpy_type(wanted, place))) is not None:
        return found
    given = f"{array.dtype} {list(array.shape)}".replace(", ", ",")
    raise InvalidRequestError(place, f"wanted {wanted.shown}, given {given}{_way_out(array, wanted, cast=cast)}")


def _cast(array: Array, wanted: np.dtype[Any]) -> Array | None:
    """The nearest array of that type; None where a value would become another one, not only a rounded one."""
    if array.dtype.kind not in "iuf" or wanted.kind not in "iuf" or (array.dtype.kind == "f" and wanted.kind != "f"):
        return None
    try:
        with np.errstate(over="raise"):
            found = array.astype(wanted)
    except FloatingPointError:
        return None
    return found if wanted.kind == "f" or bool(np.all(found.astype(object) == array.astype(object))) else None


def _way_out(array: Array, wanted: TensorInterface, *, cast: bool) -> str:
    if cast or array.dtype.kind not in "iuf" or wanted.datatype in {"BYTES", "BOOL", BF16}:
        return ""
    return f"; convert it with `.astype(np.{DATA_TYPES[wanted.datatype].__name__})`, or say cast=True"


def _numpy_type(wanted: TensorInterface, place: str) -> np.dtype[Any]:
    if wanted.datatype != BF16:
        return np.dtype(DATA_TYPES[wanted.datatype])
    try:
        return np.dtype("bfloat16")  # The package registers the name when it is imported.
    except TypeError as error:
        raise InvalidRequestError(place, "is BF16: give it an array of ml_dtypes.bfloat16") from error
