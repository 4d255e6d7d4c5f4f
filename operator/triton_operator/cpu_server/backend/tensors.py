"""Convert between Triton's tensors and torch's: numbers without a copy, strings as lists of str.

Input: a tensor of a request and its `ModelTensor`. Output: an argument for forward(). Results are checked and converted
back. `model` calls it. The types are those of TorchScript in Triton's native backend: no BF16, UINT16, UINT32 or
UINT64.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton_python_backend_utils as pb
from archive import reason_of
from tensor_specs import Role
from torch.utils.dlpack import from_dlpack

if TYPE_CHECKING:
    from tensor_specs import ModelTensor

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
    """A tensor does not match the config; `is_client_error` if the request is invalid, not the model or its config."""

    def __init__(self, message: str, *, is_client_error: bool = False) -> None:
        super().__init__(message)
        self.is_client_error = is_client_error


class ShapeError(TensorError):
    """An output's rows differ from those of the inputs, or its shape differs from config.pbtxt."""


class RowsError(ShapeError):
    """An output's first dimension differs from that of the inputs."""


def read_tensor(tensor: Any, spec: ModelTensor) -> tuple[Any, tuple[int, ...]]:
    """Return a request's input as an argument for forward(), and the shape as sent; raises `TensorError`."""
    if spec.dtype == STRING:
        array = tensor.as_numpy()
        return _read_strings(array, spec), tuple(array.shape)
    values = from_dlpack(tensor)
    return values, tuple(values.shape)


def _read_strings(array: np.ndarray[Any, Any], spec: ModelTensor) -> list[str]:
    """Convert text from UTF-8 to a list of str, because TorchScript has no string tensors."""
    if array.size != max(array.shape, default=1):
        raise TensorError(
            f"input '{spec.name}': text must have one dimension, not shape {list(array.shape)}", is_client_error=True
        )
    try:
        return [text.decode() if isinstance(text, bytes) else str(text) for text in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise TensorError(f"input '{spec.name}': text is not UTF-8", is_client_error=True) from error


def check_kind(spec: ModelTensor, value: Any) -> None:
    """Check that a result can be sent as this output. Raises `TensorError`."""
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        if spec.dtype != STRING:
            raise TensorError(f"output '{spec.name}' is a list of str, but config.pbtxt declares {spec.dtype}")
        return
    if not isinstance(value, torch.Tensor):
        raise TensorError(
            f"output '{spec.name}': forward() returned {_describe(value)}; it must return a Tensor, a List[str], or a "
            "tuple of these"
        )
    if value.is_nested or value.layout is not torch.strided:
        kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.").lstrip("_")
        raise TensorError(
            f"output '{spec.name}' is a tensor with layout {kind}: convert it to a dense tensor in forward()"
        )
    actual = DTYPES.get(value.dtype, str(value.dtype))
    if actual != spec.dtype:
        raise TensorError(f"output '{spec.name}' is {actual}, but config.pbtxt declares {spec.dtype}")


def check_shape(spec: ModelTensor, value: Any, rows: int | None) -> None:
    """Check that an output has the inputs' rows (None: no batching) and the config's dims. Raises `ShapeError`."""
    if isinstance(value, list):
        _shape_of_texts(spec, value, rows)
        return
    expected = spec.dims if rows is None else (rows, *spec.dims)
    if value.dim() == len(expected) and rows is not None and len(value) != rows:
        raise RowsError(
            f"output '{spec.name}' has {len(value)} rows, but the inputs have {rows}: with max_batch_size the first "
            "dimension of every output must be that of the inputs"
        )
    if value.dim() != len(expected) or any(
        own not in {-1, size} for size, own in zip(value.shape, expected, strict=True)
    ):
        kind = RowsError if rows is not None and tuple(value.shape[:1]) != (rows,) else ShapeError
        raise kind(
            f"output '{spec.name}' has shape {list(value.shape)}, but config.pbtxt declares {list(expected)}"
            + (f" for {rows} rows" if rows is not None else "")
        )


def write_tensor(spec: ModelTensor, value: Any, rows: int | None, *, copy: bool = False) -> Any:
    """Convert a result to an output of the response. Raises `TensorError` if it does not match config.pbtxt.

    `rows` is the number of rows of the request, or None without batching. Type, number of dimensions, fixed sizes and
    rows are always checked here, even if they were checked before. Without `copy`, the output shares the memory of
    `value`, which must not change before Triton has sent the response.
    """
    try:
        check_kind(spec, value)
        if spec.role is not Role.COUNT:
            check_shape(spec, value, rows)
        if isinstance(value, list):
            array = np.array([text.encode() for text in value], dtype=np.object_)
            return pb.Tensor(spec.name, array.reshape(_shape_of_texts(spec, value, rows)))
        dense = value.detach().resolve_neg().contiguous()
        return pb.Tensor.from_dlpack(spec.name, dense.clone() if copy else dense)
    except TensorError:
        raise
    except Exception as error:
        raise TensorError(f"output '{spec.name}' cannot be sent: {reason_of(error)}") from error


def _shape_of_texts(spec: ModelTensor, texts: list[Any], rows: int | None) -> tuple[int, ...]:
    """Compute the shape of a list of texts from the config's, with one variable dimension. Raises `ShapeError`."""
    expected = spec.dims if rows is None else (rows, *spec.dims)
    fixed = prod(size for size in expected if size >= 0)
    variable = expected.count(-1)
    number, rest = divmod(len(texts), fixed) if fixed else (0, len(texts))
    if rest or variable > 1 or (not variable and number != (1 if fixed else 0)):
        raise ShapeError(
            f"output '{spec.name}' has {len(texts)} texts, which do not fill the shape {list(expected)} that "
            "config.pbtxt declares" + (f" for {rows} rows" if rows is not None else "")
        )
    return tuple(number if size == -1 else size for size in expected)


def _describe(value: Any) -> str:
    """Describe a result that is not a tensor, with its content."""
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
