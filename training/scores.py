"""How good predictions are. Pure numpy; recipes choose from these, model cards record them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metric:
    """One score of a model and what is expected of it.

    `measure(predictions, targets)` returns the score. A model whose test score is worse than `required` is not
    exported. `tolerance` is how far a retraining may differ: other processors round differently.
    """

    name: str
    measure: Callable[[NDArray[Any], NDArray[Any]], float]
    better: Literal["higher", "lower"]
    required: float
    tolerance: float

    def is_met_by(self, score: float) -> bool:
        """Say whether a score is at least as good as required."""
        return score >= self.required if self.better == "higher" else score <= self.required


def accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of rows whose most probable class is the label; `probabilities` has a column per class."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def macro_f1(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean over all classes of F1 = 2 TP / (2 TP + FP + FN); a class nobody has or predicts counts as 0."""
    predicted = probabilities.argmax(axis=1)
    return float(np.mean([_f1(predicted == each, labels == each) for each in range(probabilities.shape[1])]))


def mean_squared_error(predictions: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Return the mean squared difference; both arrays have the same shape."""
    if predictions.shape != targets.shape:
        message = f"predictions have shape {predictions.shape}, targets {targets.shape}: they must be the same"
        raise ValueError(message)
    return float(np.mean(np.square(predictions.astype(np.float64) - targets)))


def _f1(predicted: NDArray[np.bool_], actual: NDArray[np.bool_]) -> float:
    both = 2 * np.count_nonzero(predicted & actual)
    either = np.count_nonzero(predicted) + np.count_nonzero(actual)
    return float(both / either) if either else 0.0
