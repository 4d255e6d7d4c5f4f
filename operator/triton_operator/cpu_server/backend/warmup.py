"""The requests by which a model is warmed up, and why they fail, said on standard error with the shapes that were sent.

Input: the config, then what `model` was asked and how that went. Output: the same requests as Triton will make of
`model_warmup`, for `model` to make them first, while it can still refuse to load in a sentence. Triton 2.51 says it
too, but crashes first in about half of the starts (seen; a race between its threads), and never says the shapes. Only
requests that Triton itself made are reported, so data of a caller never gets into a log.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from batching import Request
from interface import Entry, Interface, Role
from sequences import zeros
from tensors import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "give model_warmup data that the model takes, in the place of zeros"


class Sample(NamedTuple):
    """One request of the warm-up by its name; `is_certain` unless Triton draws its numbers."""

    name: str
    request: Request
    is_certain: bool


def of_zeros(interface: Interface, *, batched: bool) -> Request:
    """Make a request of one row, of zeros or empty texts, of size 1 where the config leaves it open."""
    front = (1,) if batched else ()
    sent = [entry for entry in interface.inputs if not entry.optional]
    return _request(interface, {each.name: zeros(each.dtype, (*front, *each.dims)) for each in sent}, batched=batched)


def samples(config: dict[str, Any], interface: Interface, folder: Path) -> list[Sample]:
    """Give the samples of `model_warmup`; one whose file cannot be read is left to Triton, which says so."""
    batched = int(config.get("max_batch_size", 0)) > 0
    found = []
    for sample in config.get("model_warmup", []):
        given = sample.get("inputs") or {}
        values = {}
        for entry in interface.inputs:
            if entry.name in given:
                values[entry.name] = _value(given[entry.name], entry, folder / "warmup", batched=batched)
        if given and all(value is not None for value in values.values()):
            is_certain = not any(each.get("random_data") for each in given.values())
            found.append(Sample(sample["name"], _request(interface, values, batched=batched), is_certain))
    return found


def _value(given: dict[str, Any], entry: Entry, folder: Path, *, batched: bool) -> Any:
    """Give one input of a sample as the model gets it; None where that is not known here."""
    dims = tuple(int(size) for size in given.get("dims", [])) if -1 in entry.dims else entry.dims
    shape = (1, *dims) if batched else dims
    if not given.get("input_data_file"):
        return zeros(entry.dtype, shape)
    known = {name: dtype for dtype, name in DTYPES.items()}
    try:
        data = bytearray((folder / given["input_data_file"]).read_bytes())
        count = int(np.prod(shape))
        return torch.frombuffer(data, dtype=known[entry.dtype], count=count).reshape(shape)
    except (OSError, KeyError, ValueError, RuntimeError):
        return None


def _request(interface: Interface, values: dict[str, Any], *, batched: bool) -> Request:
    shapes = {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) else (1, len(value)) if batched else (len(value),)
        for name, value in values.items()
    }
    listed = [values.get(entry.name) if entry.role is not Role.COUNT else None for entry in interface.inputs]
    return Request(listed, shapes, 1 if batched else None)


class WarmUp:
    """Counts the requests of the warm-up, which come before all others."""

    def __init__(self, config: dict[str, Any], interface: Interface, about: str) -> None:
        self._about = about
        self._interface = interface
        self._left = sum(_requests(sample) for sample in config.get("model_warmup", []))

    def watch(self, sent: list[Request | None], reasons: list[str | None]) -> str:
        """Take in requests, each as it was read (or None where it could not be) and why it failed (or None).

        Gives what an error of these requests begins with.
        """
        if self._left <= 0:
            return ""
        self._left -= len(sent)
        for request, reason in zip(sent, reasons, strict=True):
            if reason:
                told = f"warm-up of {self._about} failed: {reason}{describe(self._interface, request)}; {REMEDY}"
                print(" ".join(told.split()), file=sys.stderr, flush=True)
                break
        return f"warm-up ({REMEDY}): "


def describe(interface: Interface, request: Request | None) -> str:
    """Tell the shapes of a request."""
    if request is None:
        return ""
    shapes = [f"{entry.name} {_shape(value)}" for entry, value in zip(interface.inputs, request.values, strict=True)]
    return f" (sent {', '.join(shapes)})"


def _requests(sample: dict[str, Any]) -> int:
    """Triton sends a batch as so many requests, and all of them `count` times; 0 stands for once."""
    return max(int(sample.get("batch_size", 0)), 1) * max(int(sample.get("count", 0)), 1)


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"[{len(value)}] string" if isinstance(value, list) else "absent"
