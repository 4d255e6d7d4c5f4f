"""The options of an explanation: row, output value, baseline, and number of samples.

Input: a caller's options. Output: an ExplanationRequest, and the baseline, pieces and target that follow from it. Every
method calls it first. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.masking import Columns, Masking, Patches, Pieces, default_side, split_text
from triton_operator.explain.names import Method, RowKind
from triton_operator.explain.types import Array

DEFAULT_SAMPLES = 2048
_SMALLEST_IMAGE = 4
"""Minimum width and height of an image in pixels; smaller rows are tables."""


@dataclass(frozen=True)
class ExplanationRequest:
    """Options of an explanation, with defaults.

    `target` is the index of an output value, one index for each dimension of the output, or a label; by default, the
    largest value is explained. `baseline` replaces masked pieces: "zeros", "mean" (of the rows in `background`), a
    number or an array of the row's shape; for texts, a replacement for each piece, by default nothing. `samples` limits
    the number of rows that are sent to the model, `patch` is the side of an image's patches in pixels (0: a seventh of
    the image), and `names` are column names.
    """

    method: Method = Method.AUTO
    target: int | tuple[int, ...] | str | None = None
    baseline: str | float | Array | None = None
    background: Array | None = field(default=None, repr=False)
    samples: int = DEFAULT_SAMPLES
    seed: int = 0
    patch: int = 0
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Baseline:
    """The replacement for masked pieces: its description, and its value as an array or, for texts, a string."""

    description: str
    value: Any


def kind_of(row: Array | str) -> RowKind:
    """Return the kind of a row: a text, an image if it is wide and high enough, or a table."""
    if isinstance(row, str):
        return RowKind.TEXT
    if row.dtype.kind not in "biuf":
        raise ExplanationError("row", f"holds {row.dtype}; only numbers and one text can be explained")
    drawn = row.ndim > 1 and min(row.shape[-2:]) >= _SMALLEST_IMAGE
    return RowKind.IMAGE if drawn and row.dtype.kind != "i" else RowKind.TABLE


def baseline_of(row: Array | str, request: ExplanationRequest) -> Baseline:
    """Return the requested baseline; raises ExplanationError if it does not fit the row."""
    requested = request.baseline
    if isinstance(row, str):
        return _blank(requested)
    if isinstance(requested, np.ndarray):
        return _array(requested, row)
    if requested == "mean":
        return _mean(row, request.background)
    if requested in {None, "", "zeros"}:
        return Baseline("0 in place of each value", np.zeros_like(row))
    try:
        number = float(requested)
        value = np.full_like(row, number)
    except (ValueError, TypeError, OverflowError) as error:
        raise ExplanationError("baseline", f"{requested!r} is neither zeros, mean nor a number") from error
    return Baseline(f"{number:g} in place of each value", value)


def masking_of(row: Array | str, baseline: Baseline, request: ExplanationRequest) -> Masking:
    """Divide the row into pieces."""
    if isinstance(row, str):
        return Pieces(split_text(row), baseline.value)
    if kind_of(row) is RowKind.IMAGE:
        return Patches(row, baseline.value, request.patch or default_side(row))
    return Columns(row, baseline.value)


def choose_target(output: Array, target: int | tuple[int, ...] | str | None) -> tuple[int, ...]:
    """Return the index of the explained value in the output of one row; by default, of the largest one."""
    if isinstance(target, str):
        raise ExplanationError(
            "target", f"{target!r} is a label, and this model returns numbers without labels: pass an index"
        )
    if target is None:
        return tuple(int(each) for each in np.unravel_index(int(np.argmax(output)), output.shape))
    index = (target,) if isinstance(target, int) else tuple(target)
    if len(index) != output.ndim or any(not 0 <= each < size for each, size in zip(index, output.shape, strict=True)):
        shown = "one number" if not output.ndim else "x".join(map(str, output.shape))
        raise ExplanationError("target", f"{','.join(map(str, index))} is not in the model's output, which is {shown}")
    return index


def _blank(requested: object) -> Baseline:
    if requested is not None and not isinstance(requested, str):
        raise ExplanationError("baseline", "of a text must be a text that replaces each piece")
    if not requested:
        return Baseline("the piece is removed", "")
    return Baseline(f"{requested!r} in place of each piece", requested)


def _array(requested: Array, row: Array) -> Baseline:
    if requested.shape != row.shape:
        raise ExplanationError("baseline", f"has the shape {list(requested.shape)}, the row {list(row.shape)}")
    return Baseline("a row of the caller's", requested.astype(row.dtype))


def _mean(row: Array, background: Array | None) -> Baseline:
    if background is None or not len(background):
        raise ExplanationError("baseline", "mean needs background rows")
    if background.shape[1:] != row.shape:
        raise ExplanationError("background", f"has rows of {list(background.shape[1:])}, the row is {list(row.shape)}")
    return Baseline(f"the mean of {len(background)} rows", background.mean(axis=0).astype(row.dtype))
