"""What is asked of a model: which row, which of its outputs, compared with what, and at what cost.

Input: a caller's options. Output: a Question whose baseline and target are definite. Called before any method. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.masking import Columns, Masking, Patches, Pieces, default_side, split_text
from triton_operator.explain.names import Kind, Method
from triton_operator.explain.types import Array

DEFAULT_SAMPLES = 2048
_SMALLEST_PICTURE = 4
"""Pixels on a side; what is smaller is a table."""


@dataclass(frozen=True)
class Question:
    """Options of an explanation, each with the default that suits most.

    `target` is an output's number, its index where the output has several dimensions, or a label; the likeliest one
    when None. `baseline` is what stands for "not there": "zeros", "mean" (of the rows in `background`), a number or an
    array of the row's shape; for texts what replaces a piece, nothing by default. `samples` bounds how many rows the
    model is asked, `patch` is the side of a picture's patches in pixels (0: a seventh of the picture), and `names` are
    the columns'.
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
    """What stands for "not there": in words, and as an array or, for texts, a string."""

    described: str
    value: Any


def kind_of(row: Array | str) -> Kind:
    """Texts are texts; what is wide and high is a picture, and all else a table."""
    if isinstance(row, str):
        return Kind.TEXT
    if row.dtype.kind not in "biuf":
        raise ExplanationError("row", f"holds {row.dtype}; only numbers and one text can be explained")
    drawn = row.ndim > 1 and min(row.shape[-2:]) >= _SMALLEST_PICTURE
    return Kind.PICTURE if drawn and row.dtype.kind != "i" else Kind.COLUMNS


def baseline_of(row: Array | str, question: Question) -> Baseline:
    """The baseline asked for; raises ExplanationError where it does not fit the row."""
    wanted = question.baseline
    if isinstance(row, str):
        return _blank(wanted)
    if isinstance(wanted, np.ndarray):
        return _array(wanted, row)
    if wanted == "mean":
        return _mean(row, question.background)
    if wanted in {None, "", "zeros"}:
        return Baseline("0 in place of each value", np.zeros_like(row))
    try:
        number = float(wanted)
        value = np.full_like(row, number)
    except (ValueError, TypeError, OverflowError) as error:
        raise ExplanationError("baseline", f"{wanted!r} is neither zeros, mean nor a number") from error
    return Baseline(f"{number:g} in place of each value", value)


def masking_of(row: Array | str, baseline: Baseline, question: Question) -> Masking:
    """The row in the pieces that are taken away."""
    if isinstance(row, str):
        return Pieces(split_text(row), baseline.value)
    if kind_of(row) is Kind.PICTURE:
        return Patches(row, baseline.value, question.patch or default_side(row))
    return Columns(row, baseline.value)


def choose_target(answer: Array, target: int | tuple[int, ...] | str | None) -> tuple[int, ...]:
    """The index of the explained number in one row's answer; the largest one when none is named."""
    if isinstance(target, str):
        raise ExplanationError(
            "target", f"{target!r} is a label, and this model answers with numbers: name one of them"
        )
    if target is None:
        return tuple(int(each) for each in np.unravel_index(int(np.argmax(answer)), answer.shape))
    index = (target,) if isinstance(target, int) else tuple(target)
    if len(index) != answer.ndim or any(not 0 <= each < size for each, size in zip(index, answer.shape, strict=True)):
        shown = "one number" if not answer.ndim else "x".join(map(str, answer.shape))
        raise ExplanationError("target", f"{','.join(map(str, index))} is not in the model's answer, which is {shown}")
    return index


def _blank(wanted: object) -> Baseline:
    if wanted is not None and not isinstance(wanted, str):
        raise ExplanationError("baseline", "of a text is a text: what stands in a piece's place, nothing by default")
    if not wanted:
        return Baseline("the piece is removed", "")
    return Baseline(f"{wanted!r} in place of each piece", wanted)


def _array(wanted: Array, row: Array) -> Baseline:
    if wanted.shape != row.shape:
        raise ExplanationError("baseline", f"has the shape {list(wanted.shape)}, the row {list(row.shape)}")
    return Baseline("a row of the caller's", wanted.astype(row.dtype))


def _mean(row: Array, background: Array | None) -> Baseline:
    if background is None or not len(background):
        raise ExplanationError("baseline", "mean needs background rows to take it of")
    if background.shape[1:] != row.shape:
        raise ExplanationError("background", f"has rows of {list(background.shape[1:])}, the row is {list(row.shape)}")
    return Baseline(f"the mean of {len(background)} rows", background.mean(axis=0).astype(row.dtype))
