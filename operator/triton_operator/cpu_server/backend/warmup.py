"""Build the warm-up requests of a model, and report failed ones on standard error with their shapes.

Input: the config, and later the requests of `model` with their outcomes. Output: the requests that Triton will send for
`model_warmup`. `model` runs them first, so that it can fail to load with a clear message: Triton 2.51 crashes in about
half of the starts before it reports a failed warm-up (observed; a race between threads), and never reports shapes. Only
Triton's own requests are reported, so the log never contains client data.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from batching import ModelRequest
from interface import Interface
from sequences import zeros
from tensor_specs import ModelTensor, Role
from tensors import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "provide model_warmup data that the model accepts instead of zeros"


class Sample(NamedTuple):
    """A named warm-up request; `is_fixed` unless Triton generates random data."""

    name: str
    request: ModelRequest
    is_fixed: bool


def zero_request(interface: Interface, *, batched: bool) -> ModelRequest:
    """Build a request with one row of zeros or empty texts; variable dimensions have size 1."""
    front = (1,) if batched else ()
    sent = [spec for spec in interface.inputs if not spec.optional]
    return _request(interface, {each.name: zeros(each.dtype, (*front, *each.dims)) for each in sent}, batched=batched)


def samples(config: dict[str, Any], interface: Interface, folder: Path) -> list[Sample]:
    """Return the samples of `model_warmup`, except those with an unreadable file, which Triton reports."""
    batched = int(config.get("max_batch_size", 0)) > 0
    found = []
    for sample in config.get("model_warmup", []):
        given = sample.get("inputs") or {}
        values = {}
        for spec in interface.inputs:
            if spec.name in given:
                values[spec.name] = _value(given[spec.name], spec, folder / "warmup", batched=batched)
        if given and all(value is not None for value in values.values()):
            is_fixed = not any(each.get("random_data") for each in given.values())
            found.append(Sample(sample["name"], _request(interface, values, batched=batched), is_fixed))
    return found


def _value(given: dict[str, Any], spec: ModelTensor, folder: Path, *, batched: bool) -> Any:
    """Return one input of a sample as passed to the model; None if its file cannot be read."""
    dims = tuple(int(size) for size in given.get("dims", [])) if -1 in spec.dims else spec.dims
    shape = (1, *dims) if batched else dims
    if not given.get("input_data_file"):
        return zeros(spec.dtype, shape)
    known = {name: dtype for dtype, name in DTYPES.items()}
    try:
        data = bytearray((folder / given["input_data_file"]).read_bytes())
        count = int(np.prod(shape))
        return torch.frombuffer(data, dtype=known[spec.dtype], count=count).reshape(shape)
    except (OSError, KeyError, ValueError, RuntimeError):
        return None


def _request(interface: Interface, values: dict[str, Any], *, batched: bool) -> ModelRequest:
    shapes = {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) else (1, len(value)) if batched else (len(value),)
        for name, value in values.items()
    }
    listed = [values.get(spec.name) if spec.role is not Role.COUNT else None for spec in interface.inputs]
    return ModelRequest(listed, shapes, 1 if batched else None)


class WarmUp:
    """Watches the warm-up requests, which precede all others."""

    def __init__(self, config: dict[str, Any], interface: Interface, about: str) -> None:
        self._about = about
        self._interface = interface
        self._left = sum(_requests(sample) for sample in config.get("model_warmup", []))

    def watch(self, sent: list[ModelRequest | None], reasons: list[str | None]) -> str:
        """Report failed warm-up requests; a request is None if unreadable, and its reason is None if it succeeded.

        Returns the prefix for the error messages of these requests.
        """
        if self._left <= 0:
            return ""
        self._left -= len(sent)
        for request, reason in zip(sent, reasons, strict=True):
            if reason:
                message = f"warm-up of {self._about} failed: {reason}{describe(self._interface, request)}; {REMEDY}"
                print(" ".join(message.split()), file=sys.stderr, flush=True)
                break
        return f"warm-up ({REMEDY}): "


def describe(interface: Interface, request: ModelRequest | None) -> str:
    """Describe the shapes of a request."""
    if request is None:
        return ""
    shapes = [f"{spec.name} {_shape(value)}" for spec, value in zip(interface.inputs, request.values, strict=True)]
    return f" (sent {', '.join(shapes)})"


def _requests(sample: dict[str, Any]) -> int:
    """The number of requests of a sample: Triton sends `batch_size` requests `count` times; 0 means once."""
    return max(int(sample.get("batch_size", 0)), 1) * max(int(sample.get("count", 0)), 1)


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"[{len(value)}] string" if isinstance(value, list) else "absent"
