"""Metrics of predictions."""

from __future__ import annotations

import numpy as np
import pytest

from training.scores import Metric, accuracy, confusion, f1, macro_f1, mean_squared_error, r_squared

_PROBABILITIES = np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0, 0, 1]], dtype=np.float32)
_LABELS = np.array([0, 1, 1, 2])


def test_accuracy_is_the_share_of_correct_predictions() -> None:
    """Here, three of four."""
    assert accuracy(_PROBABILITIES, _LABELS) == 0.75


def test_macro_f1_is_the_mean_over_classes() -> None:
    """Class 0 has a false positive, class 1 a false negative, and class 2 neither."""
    assert macro_f1(_PROBABILITIES, _LABELS) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_the_f1_of_a_class_that_does_not_occur_is_zero() -> None:
    """Instead of a division by zero."""
    assert macro_f1(np.array([[1, 0]], dtype=np.float32), np.array([0])) == 0.5


def test_one_probability_chooses_between_two_classes() -> None:
    """From one half, it is the second. F1 is that of the second: one true positive, and one error of each type."""
    probabilities, labels = np.array([[0.5], [0.9], [0.2], [0.1]], dtype=np.float32), np.array([1, 0, 1, 0])
    assert accuracy(probabilities, labels) == 0.5
    assert f1(probabilities, labels) == pytest.approx(2 / 4)
    assert confusion(probabilities, labels).tolist() == [[1, 1], [1, 1]]


def test_f1_rejects_more_than_two_classes() -> None:
    """The positive class would be ambiguous."""
    with pytest.raises(ValueError, match="two classes, not 3: use macro_f1"):
        f1(_PROBABILITIES, _LABELS)


def test_padding_does_not_count() -> None:
    """One of three tokens is padding, and one of the others is correct."""
    probabilities = np.array([[[1, 0], [1, 0], [0, 1]]], dtype=np.float32)
    labels = np.array([[0, 1, -100]])
    assert accuracy(probabilities, labels) == 0.5
    assert macro_f1(probabilities, labels) == pytest.approx((2 / 3 + 0) / 2)
    assert confusion(probabilities, labels).tolist() == [[1, 0], [1, 0]]


def test_labels_of_another_shape_are_rejected() -> None:
    """[4, 1] would be broadcast silently."""
    with pytest.raises(ValueError, match=r"labels have \(4, 1\)"):
        accuracy(_PROBABILITIES, _LABELS[:, None])


def test_confusion_has_a_row_for_each_actual_class() -> None:
    """One row of the second class is predicted as the first."""
    assert confusion(_PROBABILITIES, _LABELS).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_r_squared_is_one_for_the_targets_and_zero_for_their_mean() -> None:
    """And negative for worse predictions."""
    targets = np.array([[1], [2], [3]], dtype=np.float32)
    assert r_squared(targets, targets) == 1
    assert r_squared(np.full_like(targets, 2), targets) == 0
    assert r_squared(-targets, targets) < 0


def test_mean_squared_error_rejects_shapes_that_would_be_broadcast() -> None:
    """[2, 1] minus [2] would be [2, 2]."""
    with pytest.raises(ValueError, match="must be the same"):
        mean_squared_error(np.zeros((2, 1), dtype=np.float32), np.zeros(2, dtype=np.float32))


def test_mean_squared_error() -> None:
    """Here, (1 + 9) / 2."""
    assert mean_squared_error(np.array([1, 3], dtype=np.float32), np.zeros(2, dtype=np.float32)) == 5


@pytest.mark.parametrize(
    ("metric", "score", "met"),
    [
        (Metric("accuracy", accuracy, better="higher", required=0.97, tolerance=0), 0.97, True),
        (Metric("accuracy", accuracy, better="higher", required=0.97, tolerance=0), 0.96, False),
        (Metric("mse", mean_squared_error, better="lower", required=0.1, tolerance=0), 0.1, True),
        (Metric("mse", mean_squared_error, better="lower", required=0.1, tolerance=0), 0.2, False),
        (Metric("mse", mean_squared_error, better="lower", required=0.1, tolerance=0), float("nan"), False),
    ],
)
def test_a_requirement_depends_on_the_direction_of_the_metric(metric: Metric, score: float, *, met: bool) -> None:
    """Higher accuracy is better, higher error is not, and NaN never meets a requirement."""
    assert metric.is_met_by(score) is met
