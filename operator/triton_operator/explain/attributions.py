"""Attributions: how much each part of an input influenced one output value of a model.

Pure data with a JSON form. `explanation.Explanation` adds human-readable output: text and images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from triton_operator.explain.names import Method, RowKind
from triton_operator.explain.types import Array, Floats


@dataclass(frozen=True)
class Attributions:
    """The attributions of one prediction.

    `attributions` has the shape of `row`, or one value for each segment of a text. Positive values increase the
    `prediction` relative to the `base_value` that the model returns for the baseline; negative values decrease it. If
    the method guarantees additivity, `gap` is the remaining difference; saliency does not, so it has neither a base
    value nor a gap. `target` is the index of the explained value in the output, and `label` its name, if the model has
    labels. `output` is the output tensor of the value, and `outputs` are all output tensors, if known. `pieces` are the
    segments of a text, or the names of a table's columns. `patch` is the side of the masked squares of an image, or 0
    if each value was masked alone. `error` is the standard error of one attribution, 0 without sampling.
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
        """Difference between prediction - base_value and the sum of the attributions; None without additivity."""
        if self.base_value is None:
            return None
        return self.prediction - self.base_value - float(self.attributions.sum())

    @property
    def target_name(self) -> str:
        """The label, or else the index of the output value; empty if the model returns one value.

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
            "gap": self.gap,
            "standardError": self.error,
            "seed": self.seed,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
