"""Attributions: which parts of an input drove one number of a model's output, by how much, and how certain that is.

Pure data with its JSON form. `explanation.Explanation` adds the forms for people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from triton_operator.explain.names import Kind, Method
from triton_operator.explain.types import Array, Floats


@dataclass(frozen=True)
class Attributions:
    """Attributions of one prediction.

    `attributions` have the shape of `row`, or [pieces] for a text: positive values raised the `prediction`, negative
    ones lowered it, against the `base_value` that the model gives for the baseline. Where the method promises that they
    add up to the difference, `gap` is what is missing; saliency promises no sum, so it has neither base nor gap.
    `target` is the index of the explained number in the model's answer, `label` its name where the model says one.
    `output` is the output tensor that the number is in, and `outputs` are all that the model has, where they are known.
    `patch` is the side of the squares that were taken away together, 0 if each number is a piece.
    `error` is the standard error of a piece's attribution where coalitions were sampled, 0 where nothing was.
    """

    method: Method
    kind: Kind
    target: tuple[int, ...]
    baseline: str
    base_value: float | None
    prediction: float
    attributions: Floats = field(repr=False)
    row: Array = field(repr=False)
    evaluations: int
    pieces: tuple[str, ...] = ()
    patch: int = 0
    error: float = 0.0
    seed: int | None = None
    seconds: float = 0.0
    model: str = ""
    label: str = ""
    output: str = ""
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float | None:
        """What the attributions lack of prediction - base_value; None where the method promises no sum."""
        if self.base_value is None:
            return None
        return self.prediction - self.base_value - float(self.attributions.sum())

    @property
    def target_name(self) -> str:
        """The label, else the number of the output, as people read it; empty when the model answers one number.

        Where the model has several outputs, with the name of the one that was taken.
        """
        number = ",".join(map(str, self.target))
        if self.label or len(self.outputs) < 2:  # noqa: PLR2004 - one is nothing to choose from.
            return self.label or number
        return f"{number} of {self.output}" if number else self.output

    def to_json(self) -> dict[str, Any]:
        """Plain data: everything but the row itself."""
        return {
            "model": self.model,
            "method": str(self.method),
            "kind": str(self.kind),
            "output": {"name": self.output, "all": list(self.outputs)},
            "target": {"index": list(self.target), "label": self.label},
            "baseline": self.baseline,
            "baseValue": self.base_value,
            "prediction": self.prediction,
            "attributions": {"shape": list(self.attributions.shape), "data": self.attributions.reshape(-1).tolist()},
            "pieces": list(self.pieces),
            "patch": self.patch,
            "sum": float(self.attributions.sum()),
            "efficiencyGap": self.gap,
            "standardError": self.error,
            "seed": self.seed,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
