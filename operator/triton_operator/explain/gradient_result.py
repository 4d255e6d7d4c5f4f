"""What every gradient method returns, and the number of steps that integrated gradients take. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from triton_operator.explain.types import Floats

STEPS = 64
"""Points on the way from the baseline to the row; the gap says whether that was enough."""


@dataclass(frozen=True)
class Gradients:
    """What a method found; `base` is None where it compares with nothing."""

    attributions: Floats
    prediction: float
    base: float | None
    evaluations: int
    notes: tuple[str, ...] = ()
