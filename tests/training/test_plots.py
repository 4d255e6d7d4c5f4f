"""The images of the model cards: small, deterministic, and drawn from any history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.history import History
from training.plots import draw_confusion, draw_learning_curve

pytestmark = pytest.mark.training

_NAN = float("nan")


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    "history",
    [
        History([3, 2, 1], [4, 2, 3], 2),
        History([1e3, 1e-9], [1e3, 0], 2),
        History([0, 0], [0, 0], 1),
        History([1, _NAN], [2, _NAN], 1),
    ],
    ids=["usual", "steep to zero", "nothing to learn", "diverged"],
)
def test_a_learning_curve_is_drawn_from_any_history(tmp_path: Path, history: History) -> None:
    """Drawing it twice gives equal bytes."""
    for name in ("a.png", "b.png"):
        draw_learning_curve(history, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert _pixels(tmp_path / "a.png").std() > 5


def test_the_image_depends_on_the_history(tmp_path: Path) -> None:
    """The curve is visible."""
    draw_learning_curve(History([3, 2, 1], [4, 2, 3], 2), tmp_path / "a.png")
    draw_learning_curve(History([3, 1, 2], [4, 2, 3], 2), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("classes", [("benign", "malignant"), tuple("0123456789"), ("person", "place", "organisation")])
def test_a_confusion_matrix_is_small_and_dark_where_the_counts_are_high(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    """If all predictions are correct, the diagonal is dark and the rest is nearly white."""
    path = tmp_path / "matrix.png"
    draw_confusion((np.eye(len(classes), dtype=int) * 35).tolist(), classes, path)
    assert path.stat().st_size < 25_000
    right = _darkness(path)
    draw_confusion(np.zeros((len(classes), len(classes)), dtype=int).tolist(), classes, path)
    assert right > 3 * _darkness(path)


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("person", "place", "organisation")])
def test_long_class_names_are_not_cut_off(tmp_path: Path, classes: tuple[str, ...]) -> None:
    """The left edge is empty."""
    path = tmp_path / "matrix.png"
    draw_confusion((np.eye(len(classes), dtype=int) * 35).tolist(), classes, path)
    assert (_pixels(path)[:, :2] > 250).all()


def _darkness(path: Path) -> float:
    """The share of pixels in the darkest blue or in ink."""
    return float(np.mean(_pixels(path).max(axis=-1) < 128))
