"""Between Triton's tensors and torch's: without a copy for numbers, as lists of str for strings.

Input: a tensor of a request and what config.pbtxt says of it. Output: what forward() takes; and the way back, checked.
Called by `model`. The types are those of TorchScript in Triton's native backend: no BF16, UINT16, UINT32 or UINT64.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton_python_backend_utils as pb
from archive import reason_of
from interface import Role
from torch.utils.dlpack import from_dlpack

if TYPE_CHECKING:
    from interface import Entry

DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}
STRING = "STRING"


class TensorError(Exception):
    """A tensor does not fit; `of_the_caller` when the request is to blame, else the model or its config is."""

    def __init__(self, message: str, *, of_the_caller: bool = False) -> None:
        super().__init__(message)
        self.of_the_caller = of_the_caller


class ShapeError(TensorError):
    """An output has other rows than the inputs, or another shape than config.pbtxt says."""


class RowsError(ShapeError):
    """Its first dimension is not that of the inputs."""


def read_tensor(tensor: Any, entry: Entry) -> tuple[Any, tuple[int, ...]]:
    """Give a request's input as forward() takes it, and the shape that was sent; raises `TensorError`."""
    if entry.dtype == STRING:
        array = tensor.as_numpy()
        return _read_strings(array, entry), tuple(array.shape)
    values = from_dlpack(tensor)
    return values, tuple(values.shape)


def _read_strings(array: np.ndarray[Any, Any], entry: Entry) -> list[str]:
    """Text as a list, since TorchScript has no tensors of it; Triton holds UTF-8."""
    if array.size != max(array.shape, default=1):
        raise TensorError(
            f"input '{entry.name}': text must have one dimension, not shape {list(array.shape)}", of_the_caller=True
        )
    try:
        return [text.decode() if isinstance(text, bytes) else str(text) for text in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise TensorError(f"input '{entry.name}': text is not UTF-8", of_the_caller=True) from error


def check_kind(entry: Entry, value: Any) -> None:
    """Make sure that a result can be sent as this output. Raises `TensorError`."""
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        if entry.dtype != STRING:
            raise TensorError(f"output '{entry.name}' is a list of str, but config.pbtxt says {entry.dtype}")
        return
    if not isinstance(value, torch.Tensor):
        raise TensorError(
            f"output '{entry.name}': forward() returned {_called(value)}; Triton takes a Tensor, a List[str], or a "
            "tuple of these"
        )
    if value.is_nested or value.layout is not torch.strided:
        kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.").lstrip("_")
        raise TensorError(f"output '{entry.name}' is a tensor of layout {kind}: make it dense in forward()")
    actual = DTYPES.get(value.dtype, str(value.dtype))
    if actual != entry.dtype:
        raise TensorError(f"output '{entry.name}' is {actual}, but config.pbtxt says {entry.dtype}")


def check_shape(entry: Entry, value: Any, rows: int | None) -> None:
    """Make sure that an output has the inputs' rows (None: no batching) and the config's dims. Raises `ShapeError`."""
    if isinstance(value, list):
        _shape_of_texts(entry, value, rows)
        return
    promised = entry.dims if rows is None else (rows, *entry.dims)
    if value.dim() == len(promised) and rows is not None and len(value) != rows:
        raise RowsError(
            f"output '{entry.name}' has {len(value)} rows, but the inputs have {rows}: with max_batch_size the first "
            "dimension of every output must be that of the inputs"
        )
    if value.dim() != len(promised) or any(
        own not in {-1, size} for size, own in zip(value.shape, promised, strict=True)
    ):
        kind = RowsError if rows is not None and tuple(value.shape[:1]) != (rows,) else ShapeError
        raise kind(
            f"output '{entry.name}' has shape {list(value.shape)}, but config.pbtxt says {list(promised)}"
            + (f" for {rows} rows" if rows is not None else "")
        )


def write_tensor(entry: Entry, value: Any, rows: int | None) -> Any:
    """Give a result as an output of the response. Raises `TensorError` when it is not what config.pbtxt promises.

    `rows` are those of the request, None without batching. That it fits is seen here, whoever looked before: type,
    number of dimensions, every fixed size, and the rows.
    """
    try:
        check_kind(entry, value)
        if entry.role is not Role.COUNT:
            check_shape(entry, value, rows)
        if isinstance(value, list):
            array = np.array([text.encode() for text in value], dtype=np.object_)
            return pb.Tensor(entry.name, array.reshape(_shape_of_texts(entry, value, rows)))
        return pb.Tensor.from_dlpack(entry.name, value.detach().resolve_neg().contiguous())
    except TensorError:
        raise
    except Exception as error:
        raise TensorError(f"output '{entry.name}' cannot be sent: {reason_of(error)}") from error


def _shape_of_texts(entry: Entry, texts: list[Any], rows: int | None) -> tuple[int, ...]:
    """Text comes as a list without dimensions: give it the config's, of which one may be open. Raises `ShapeError`."""
    promised = entry.dims if rows is None else (rows, *entry.dims)
    fixed = prod(size for size in promised if size >= 0)
    open_ = promised.count(-1)
    number, rest = divmod(len(texts), fixed) if fixed else (0, len(texts))
    if rest or open_ > 1 or (not open_ and number != (1 if fixed else 0)):
        raise ShapeError(
            f"output '{entry.name}' has {len(texts)} texts, which do not fill the shape {list(promised)} that "
            "config.pbtxt says" + (f" for {rows} rows" if rows is not None else "")
        )
    return tuple(number if size == -1 else size for size in promised)


def _called(value: Any) -> str:
    """Name a result that is no tensor, with what is in it."""
    if isinstance(value, dict):
        return f"a dictionary ({', '.join(map(str, value))})"[:100]
    if isinstance(value, (list, tuple)):
        kinds = sorted({type(each).__name__ for each in value})
        return f"a {type(value).__name__} of {' and '.join(kinds) or 'nothing'}"
    return (
        "nothing"
        if value is None
        else f"a number ({type(value).__name__})"
        if isinstance(value, (int, float, complex))
        else f"{type(value).__name__}"
    )
