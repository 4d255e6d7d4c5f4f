"""Run a module, or a replacement for it, and describe differences between outputs.

Input: a callable and arguments. Output: its outputs as values that Triton can transfer, or ExportError.
`equivalence_check`, `rows`, `state` and `served_form` call it. Requires torch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import nn

from triton_operator.export.errors import ExportError
from triton_operator.export.tensors import Value, difference, read_values
from triton_operator.export.torch_message import sentence

Forward = Callable[..., object]
"""A callable with the arguments of forward()."""


class ForwardRun(NamedTuple):
    """The arguments of forward(), and the outputs of the module for them."""

    arguments: Sequence[Value]
    outputs: Sequence[Value]


def record_run(module: Forward, arguments: Sequence[Value]) -> ForwardRun:
    """Run the module and return its arguments with its outputs; raises ExportError."""
    return ForwardRun(arguments, call_forward(module, arguments, "forward() returned"))


def call_forward(module: Forward, arguments: Sequence[Value], who: str) -> list[Value]:
    """Return the outputs of a callable; raises ExportError.

    Arguments and outputs are copied, because a module may change its arguments, or return a tensor that its next call
    changes. `who` begins the error message about an output.
    """
    try:
        with torch.inference_mode():
            result = module(*[copied(each) for each in arguments])
    except SystemExit as error:
        raise ExportError("the module fails for the example: forward() calls sys.exit()") from error
    except Exception as error:
        raise ExportError(f"the module fails for the example: {sentence(error)}") from error
    return [copied(each) for each in read_values(result, who)]


def copied(value: Value) -> Value:
    """Return a copy of the value."""
    return list(value) if isinstance(value, list) else value.clone()


class Float64Module:
    """The module in float64, where rounding errors are about 1e8 times smaller but real differences are not.

    In float32, outputs depend on the order in which a kernel adds, which depends on the number of rows.
    """

    def __init__(self, module: Forward) -> None:
        """Take a module; any other callable has no float64 version."""
        self._own = module

    @cached_property
    def _module(self) -> nn.Module | None:
        """A copy of the module, created on first use because it needs twice the memory."""
        if not isinstance(self._own, nn.Module):
            return None
        try:
            return copy.deepcopy(self._own).double()
        except Exception:  # noqa: BLE001 - a module that cannot be copied is compared in float32 only.
            return None

    def call(self, arguments: Sequence[Value]) -> list[Value] | None:
        """Return the outputs, or None if the module cannot compute in float64."""
        if self._module is None:
            return None
        try:
            return call_forward(self._module, [_double(each) for each in arguments], "forward() returned")
        except ExportError:
            return None


def describe_difference(own: Sequence[Value], other: Sequence[Value], names: Sequence[str]) -> tuple[str, str]:
    """Return the name of the output that differs most, and a description of the difference."""
    if len(own) != len(other):
        return ", ".join(names), f"in its number ({len(other)} instead of {len(own)})"
    furthest = max(range(len(own)), key=lambda index: difference(own[index : index + 1], other[index : index + 1]))
    return names[furthest], _by(own[furthest], other[furthest])


def _by(own: Value, other: Value) -> str:
    if isinstance(own, list) or isinstance(other, list):
        return "in its text"
    if own.shape != other.shape:
        return f"in its shape ({list(other.shape)} instead of {list(own.shape)})"
    if own.dtype is torch.bool:
        return "in its truth values"
    by = difference([own], [other])
    if math.isinf(by):
        by = float((own.double() - other.double()).abs().nan_to_num(math.inf).max())
    return "in its undefined values" if math.isinf(by) else f"by {by:.3g}"


def _double(value: Value) -> Value:
    return value.double() if isinstance(value, torch.Tensor) and value.dtype.is_floating_point else value
