"""Metrics of predictions. Needs only numpy. Recipes use them, and model cards record the scores.

The last dimension of a classifier's predictions has a probability per class, or only the probability of the second of
two classes. Labels are class numbers in the shape of the other dimensions; negative labels (padding) are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metric:
    """A metric with the score that a model must reach.

    `measure(predictions, targets)` returns the score. A model whose test score is worse than `required` is not
    exported. `tolerance` is the allowed difference after retraining, because processors round differently.
    """

    name: str
    measure: Callable[[NDArray[Any], NDArray[Any]], float]
    better: Literal["higher", "lower"]
    required: float
    tolerance: float

    def is_met_by(self, score: float) -> bool:
        """Return whether a score is at least as good as required."""
        return score >= self.required if self.better == "higher" else score <= self.required


def accuracy(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of rows, or of tokens, whose most probable class is the label."""
    predicted, actual = _without_padding(probabilities, labels)
    return float(np.mean(predicted == actual))


def f1(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return F1 = 2 TP / (2 TP + FP + FN) of the second of two classes, the positive one.

    Raises ValueError for predictions of more than two classes; use `macro_f1` for these.
    """
    if _classes(probabilities) != 2:  # noqa: PLR2004 - a class and its opposite.
        raise ValueError(f"F1 of one class needs two classes, not {_classes(probabilities)}: use macro_f1")
    predicted, actual = _without_padding(probabilities, labels)
    return _f1(predicted == 1, actual == 1)


def macro_f1(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the mean over all classes of F1 = 2 TP / (2 TP + FP + FN); F1 is 0 for a class that does not occur."""
    predicted, actual = _without_padding(probabilities, labels)
    return float(np.mean([_f1(predicted == each, actual == each) for each in range(_classes(probabilities))]))


def confusion(probabilities: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the confusion matrix [classes, classes]: a row per actual class, a column per predicted class."""
    classes = _classes(probabilities)
    predicted, actual = _without_padding(probabilities, labels)
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def mean_squared_error(predictions: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the mean squared difference; both arrays have the same shape."""
    _require_same_shape(predictions, targets)
    return float(np.mean(np.square(predictions.astype(np.float64) - targets)))


def r_squared(predictions: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return the share of the targets' variance that the predictions explain: 1 is all of it, 0 is none."""
    _require_same_shape(predictions, targets)
    left = np.sum(np.square(predictions.astype(np.float64) - targets))
    return float(1 - left / np.sum(np.square(targets.astype(np.float64) - targets.mean(axis=0, dtype=np.float64))))


def _classes(probabilities: NDArray[Any]) -> int:
    return max(2, int(probabilities.shape[-1]))


def _without_padding(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the predicted and the actual class of each row or token that is not padding."""
    one = probabilities.shape[-1] == 1
    predicted = (probabilities[..., 0] >= 1 / 2).astype(np.int64) if one else probabilities.argmax(axis=-1)
    if predicted.shape != labels.shape:
        raise ValueError(f"predictions have shape {predicted.shape}, labels have {labels.shape}: must be the same")
    return predicted[labels >= 0], labels[labels >= 0].astype(np.int64)


def _require_same_shape(predictions: NDArray[Any], targets: NDArray[Any]) -> None:
    if predictions.shape != targets.shape:
        message = f"predictions have shape {predictions.shape}, targets {targets.shape}: they must be the same"
        raise ValueError(message)


def _f1(predicted: NDArray[np.bool_], actual: NDArray[np.bool_]) -> float:
    both = 2 * np.count_nonzero(predicted & actual)
    either = np.count_nonzero(predicted) + np.count_nonzero(actual)
    return float(both / either) if either else 0.0
