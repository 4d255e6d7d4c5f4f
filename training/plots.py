"""Draw the two images of a model card: the learning curve and the confusion matrix. `workflow` calls it.

The Agg backend needs no display. The files contain no dates or program names, so that equal numbers give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from training.history import History

LEARNING_CURVE = "learning_curve.png"
CONFUSION_MATRIX = "confusion_matrix.png"

_DOTS_PER_INCH = 100
_COLOURS = 64
_STEEP = 100.0
"""Ratio of losses from which the axis is logarithmic."""
_LONG_NAME = 3
"""Class names with more characters would overlap below the matrix."""


def draw_learning_curve(history: History, path: Path) -> None:
    """Draw the training and validation loss by epoch, and mark the epoch whose weights were kept."""
    figure = Figure(figsize=(4.8, 3.0), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="mean loss")
    for name, losses in (("training", history.train), ("validation", history.validation)):
        if losses:
            axes.plot(range(1, len(losses) + 1), losses, label=name)
    axes.axvline(history.best_epoch, color="grey", linestyle=":", label=f"kept: epoch {history.best_epoch}")
    known = [each for each in (*history.train, *history.validation) if each > 0]
    if known and max(known) > _STEEP * min(known):
        axes.set_yscale("log")
    axes.legend()
    _save(figure, path)


def draw_confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, a row per actual class; the shade of a cell is its share of the row."""
    side = min(4.4, 2.0 + 0.28 * len(classes))
    names = 0.07 * (max(map(len, classes)) - 1)  # They are next to the matrix, whose cells stay square.
    figure = Figure(figsize=(side + 0.6 + names, side), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="actual")
    matrix = np.asarray(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90 if _are_crowded(classes) else 0)
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(matrix):
        ink = "white" if shares[row, column] > 1 / 2 else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", color=ink, fontsize=8)
    _save(figure, path)


def _are_crowded(classes: Sequence[str]) -> bool:
    return len(classes) > 2 and max(map(len, classes)) > _LONG_NAME  # noqa: PLR2004 - two names have half the width each.


def _save(figure: Figure, path: Path) -> None:
    """Save with a small palette, which makes the committed file a third of the size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB")
    picture.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
