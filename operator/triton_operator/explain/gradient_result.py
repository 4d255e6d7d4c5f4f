"""The result of the gradient methods, and the number of steps of integrated gradients. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from triton_operator.explain.types import Floats

STEPS = 64
"""Number of points on the path from the baseline to the row; the gap shows whether it is sufficient."""


@dataclass(frozen=True)
class Gradients:
    """The result of a method; `base` is None for methods without a baseline."""

    attributions: Floats
    prediction: float
    base: float | None
    evaluations: int
    notes: tuple[str, ...] = ()
