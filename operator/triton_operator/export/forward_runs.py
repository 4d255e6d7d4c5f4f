"""Asks a module, or what answers in its place, and holds answers against each other.

Input: a callable and arguments. Output: its results as values that Triton can pass, or ExportError. `questions`,
`rows`, `state` and `served_form` call it. Needs torch.
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
"""Whatever takes the arguments of forward()."""


class Run(NamedTuple):
    """Arguments of forward() with what the module itself answered."""

    arguments: Sequence[Value]
    outputs: Sequence[Value]


def record_run(module: Forward, arguments: Sequence[Value]) -> Run:
    """The question with the module's own answer; raises ExportError."""
    return Run(arguments, call_forward(module, arguments, "forward() returned"))


def call_forward(module: Forward, arguments: Sequence[Value], who: str) -> list[Value]:
    """What it answers; raises ExportError.

    Copies go in and come out: a module may change its arguments, or give out a tensor that its next call changes.
    """
    try:
        with torch.inference_mode():
            result = module(*[copied(each) for each in arguments])
    except Exception as error:
        raise ExportError(f"the module does not take the example: {sentence(error)}") from error
    return [copied(each) for each in read_values(result, who)]


def copied(value: Value) -> Value:
    """The same values in memory of their own."""
    return list(value) if isinstance(value, list) else value.clone()


class Float64Module:
    """The module in float64, where rounding is a hundred million times smaller and real differences are as large.

    Answers of float32 depend on the order in which a kernel adds, which depends on the number of rows.
    """

    def __init__(self, module: Forward) -> None:
        """Of a module; anything else has no reference."""
        self._own = module

    @cached_property
    def _module(self) -> nn.Module | None:
        """A copy, made only when it is needed: it is twice as large as the module."""
        if not isinstance(self._own, nn.Module):
            return None
        try:
            return copy.deepcopy(self._own).double()
        except Exception:  # noqa: BLE001 - whatever it holds that cannot be copied: then float32 has to do.
            return None

    def call(self, arguments: Sequence[Value]) -> list[Value] | None:
        """Its answer, None where it cannot compute in float64."""
        if self._module is None:
            return None
        try:
            return call_forward(self._module, [_double(each) for each in arguments], "forward() returned")
        except ExportError:
            return None


def describe_difference(own: Sequence[Value], other: Sequence[Value], names: Sequence[str]) -> tuple[str, str]:
    """Which output differs most, and by how much in words."""
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
    return "in what is undefined" if math.isinf(by) else f"by {by:.3g}"


def _double(value: Value) -> Value:
    return value.double() if isinstance(value, torch.Tensor) and value.dtype.is_floating_point else value
