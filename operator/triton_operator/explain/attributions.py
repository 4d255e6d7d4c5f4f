"""Attributions: how much each part of an input contributes to one value of a model's output.

Pure data with a JSON form. `explanation.Explanation` adds text and images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from triton_operator.explain.names import Method, RowKind
from triton_operator.explain.types import Array, Floats


@dataclass(frozen=True)
class Attributions:
    """The attributions of one prediction.

    `attributions` has the shape of `row`, or [pieces] for a text. Positive values increase the `prediction` relative to
    `base_value`, the output for the baseline; negative values decrease it. If the method promises that the attributions
    add up to the difference, `gap` is the error of the sum; saliency does not, so it has neither a base value nor a
    gap. `target` is the index of the explained value in the output, and `label` its name, if the model has labels.
    `output` is the output tensor of the value, and `outputs` are all output tensors, if known. `patch` is the side of
    the patches that were masked together, or 0 if each value was masked alone. `error` is the standard error of the
    attribution of a piece if coalitions were sampled, and 0 otherwise.
    """

    method: Method
    kind: RowKind
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
        """Prediction - base_value - sum of the attributions; None if the method does not promise a sum."""
        if self.base_value is None:
            return None
        return self.prediction - self.base_value - float(self.attributions.sum())

    @property
    def target_name(self) -> str:
        """The label, or else the index of the output value; empty if the output is a single number.

        If the model has several outputs, the name of the output is added.
        """
        number = ",".join(map(str, self.target))
        if self.label or len(self.outputs) < 2:  # noqa: PLR2004 - one is nothing to choose from.
            return self.label or number
        return f"{number} of {self.output}" if number else self.output

    def to_json(self) -> dict[str, Any]:
        """Return plain data without the row."""
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
