"""Between Triton's tensors and torch's: without a copy for numbers, as lists of str for strings.

In: a tensor of a request and what config.pbtxt says of it. Out: what forward() takes; and the way back, checked.
Called by `model`. The types are those of TorchScript in Triton's native backend: no BF16, UINT16, UINT32 or UINT64.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton_python_backend_utils as pb
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


def read_tensor(tensor: Any, entry: Entry) -> Any:
    """Give a request's input as forward() takes it; None for an optional one that was not sent."""
    if tensor is None:
        return None
    if entry.dtype == STRING:
        return _read_strings(tensor.as_numpy(), entry)
    return from_dlpack(tensor)


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


def write_tensor(entry: Entry, value: Any, *, batched: bool) -> Any:
    """Give a result as an output of the response. Raises `TensorError` when it is not what config.pbtxt promises."""
    if isinstance(value, list):
        return _write_strings(entry, value, batched=batched)
    if not isinstance(value, torch.Tensor):
        raise TensorError(
            f"output '{entry.name}': forward() returned {type(value).__name__}, not a tensor or List[str]"
        )
    actual = DTYPES.get(value.dtype, str(value.dtype))
    if actual != entry.dtype:
        raise TensorError(f"output '{entry.name}' is {actual}, but config.pbtxt says {entry.dtype}")
    return pb.Tensor.from_dlpack(entry.name, value.detach().contiguous())


def _write_strings(entry: Entry, texts: list[Any], *, batched: bool) -> Any:
    if entry.dtype != STRING or not all(isinstance(text, str) for text in texts):
        raise TensorError(f"output '{entry.name}': forward() returned a list, but config.pbtxt says {entry.dtype}")
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    fixed = prod(size for size in entry.dims if size > 0)
    rows = len(texts) // max(1, fixed)
    shape = (rows, *(size if size > 0 else -1 for size in entry.dims)) if batched else (len(texts),)
    return pb.Tensor(entry.name, array.reshape(shape))
