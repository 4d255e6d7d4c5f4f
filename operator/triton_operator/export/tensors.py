"""Convert torch values to the tensors of a signature: types, dimensions, and variable sizes.

Input: arguments and outputs of forward(). Output: the tensors of a signature. `exporter` calls it. Requires torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch

from triton_operator.export.errors import ExportError
from triton_operator.triton.model_file.signature import ANY, TensorSpec

Value: TypeAlias = "torch.Tensor | list[str]"

DATA_TYPES = {
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
TYPES = {name: dtype for dtype, name in DATA_TYPES.items()}


def read_values(values: object, who: str) -> list[Value]:
    """Return arguments or outputs as a list; raises ExportError, starting with `who`, for unsupported values."""
    return [_read_value(value, who) for value in (values if isinstance(values, tuple) else (values,))]


def read_tensors(names: Sequence[str], examples: Sequence[Sequence[Value]], *, batched: bool) -> tuple[TensorSpec, ...]:
    """Return one tensor for each name; a size that differs between examples is variable. Raises ExportError."""
    if {len(each) for each in examples} != {len(names)}:
        raise ExportError("the examples differ in how many inputs or outputs they have")
    return tuple(_tensor(name, [each[index] for each in examples], batched) for index, name in enumerate(names))


def note(tensor: TensorSpec, *, batched: bool) -> str:
    """Return how a served tensor differs from that of forward(), or "". Triton has no tensors of shape [batch]."""
    return "one value in each row, which Triton sends as [batch,1]" if batched and not tensor.dims else ""


def joined(value: Value, times: int = 2) -> Value:
    """Repeat the rows of a value."""
    return value * times if isinstance(value, list) else torch.cat([value] * times)


def rows_of(value: Value) -> int:
    """Return the size of the first dimension; 0 for a scalar."""
    return len(value) if isinstance(value, list) or value.dim() else 0


def difference(expected: Sequence[Value], actual: Sequence[Value]) -> float:
    """Return the largest difference of any value, relative for values above 1.

    The result is infinite if a type, a shape, a text or an integer differs. Relative, because float32 has seven
    significant digits.
    """
    if len(expected) != len(actual):
        return math.inf
    return max((_difference(one, other) for one, other in zip(expected, actual, strict=True)), default=0.0)


def _difference(expected: Value, actual: Value) -> float:
    if not isinstance(expected, torch.Tensor) or not isinstance(actual, torch.Tensor):
        return 0.0 if expected == actual else math.inf
    if expected.dtype != actual.dtype or expected.shape != actual.shape:
        return math.inf
    if torch.equal(expected, actual) or not expected.numel():
        return 0.0
    if not expected.dtype.is_floating_point:
        return math.inf
    both_undefined = expected.isnan() & actual.isnan()
    relative = (expected.double() - actual.double()).abs() / expected.double().abs().clamp_min(1)
    furthest = float(relative.masked_fill(both_undefined | (expected == actual), 0).max())
    return math.inf if math.isnan(furthest) else furthest


def _read_value(value: object, who: str) -> Value:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    if not isinstance(value, torch.Tensor):
        raise ExportError(f"{who} {_unlike(value)}; Triton passes tensors and lists of str, so {_remedy(value)}")
    if value.is_nested or value.layout is not torch.strided:
        kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.").lstrip("_")
        dense = "torch.nested.to_padded_tensor(x, 0)" if value.is_nested else ".to_dense()"
        raise ExportError(f"{who} a tensor of layout {kind}; Triton passes dense tensors, so make it one: {dense}")
    if value.dtype not in DATA_TYPES:
        raise ExportError(
            f"{who} {value.dtype}, which Triton does not support for TorchScript; cast it, for example .float()"
        )
    return value


def _unlike(value: object) -> str:
    """Describe an unsupported value and its content."""
    match value:
        case None:
            return "None"
        case dict():
            return f"a dict ({', '.join(map(str, value))})"
        case list() | tuple():
            return (
                f"a {type(value).__name__} of {', '.join(sorted({type(each).__name__ for each in value})) or 'nothing'}"
            )
    return f"a value of type {type(value).__name__}"


def _remedy(value: object) -> str:
    match value:
        case None:
            return "always return a tensor, for example an empty one (torch.zeros(0)), or omit it"
        case dict():
            names = "".join(f' output["{key}"],' for key in value).lstrip()
            return f"make it a tuple, in the order of the output names: ({names or '...,'})"
        case list() | tuple():
            return "add its tensors to the tuple of results, or join them (torch.stack, torch.cat)"
        case bool() | int() | float():
            return "make it a tensor (torch.tensor([...]))"
    return "make it a tuple of tensors"


def _tensor(name: str, values: Sequence[Value], batched: bool) -> TensorSpec:  # noqa: FBT001 - private, one caller.
    types = {DATA_TYPES[each.dtype] if isinstance(each, torch.Tensor) else "STRING" for each in values}
    shapes = [tuple(each.shape) if isinstance(each, torch.Tensor) else (len(each),) for each in values]
    if len(types) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ExportError(f"{name}: values differ in type or number of dimensions between runs")
    dims = [set(sizes) for sizes in zip(*shapes, strict=True)]
    if not dims:
        raise ExportError(f"{name} has no dimensions, which Triton cannot send; make it one value: .reshape(1)")
    sizes = tuple(next(iter(each)) if len(each) == 1 else ANY for each in (dims[1:] if batched else dims))
    return TensorSpec(name, types.pop(), sizes)
