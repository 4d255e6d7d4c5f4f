"""Real handwritten digits as 28x28 pictures, without torch.

The data ship inside scikit-learn: 1,797 digits of 8x8 pixels with values 0 to 16, written by 13 people (the test part
of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998).
`training.digits` learns from them; the demo and the end-to-end tests send those of the test part to a server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from training.dataset import Dataset, Part

SIDE = 28
"""Pixels on a side of what the model takes."""

_HIGHEST_VALUE = 16.0
"""Each pixel of the source counts the dark ones among 4x4 scanned pixels."""

_PARTS = 5
"""Of five rows of a digit, one goes to validation, one to test, three to training."""


def unseen_digits(count: int | None = None) -> Part:
    """Return the first `count` digits of the test part (all when None).

    Inputs have the shape [count, 1, 28, 28], float32 from 0 (paper) to 1 (ink); targets are the digits 0 to 9.
    The model has never seen them. Neighbours are different digits, so that a short list shows variety.
    """
    test = load().test
    return Part(test.inputs[:count], test.targets[:count])


@cache
def load() -> Dataset:
    """Read all digits, resize them and divide them into three fixed parts."""
    digits = load_digits()
    images = resize(np.asarray(digits.images, dtype=np.float32) / np.float32(_HIGHEST_VALUE), SIDE)
    labels = np.asarray(digits.target, dtype=np.int64)
    train, validation, test = (_part(images, labels, rows) for rows in split(labels))
    return Dataset(
        name="Optical Recognition of Handwritten Digits (1,797 digits that ship with scikit-learn)",
        source="E. Alpaydin, C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49",
        licence="CC-BY-4.0",
        train=train,
        validation=validation,
        test=test,
        remarks="The data do not say who wrote a digit, so the same hands appear in all three parts.",
    )


def resize(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize square pictures [count, n, n] to [count, side, side] by bilinear interpolation.

    Pixels are areas with their centres at one half, as in PyTorch's `interpolate(align_corners=False)`.
    """
    weights = _interpolation(images.shape[-1], side)
    return (weights @ images @ weights.T).astype(np.float32)


def split(labels: NDArray[np.int64]) -> tuple[list[int], list[int], list[int]]:
    """Divide row numbers into training, validation and test, with each label in all of them at the same share.

    Rows are shuffled by a hash of their number: unlike a random generator, that stays the same in every version of
    every library, so the test part can never leak into a later training.
    """
    train: list[int] = []
    validation: list[int] = []
    test: list[int] = []
    for label in np.unique(labels):
        rows = _shuffled(np.flatnonzero(labels == label).tolist())
        fifth = len(rows) // _PARTS
        test += rows[:fifth]
        validation += rows[fifth : 2 * fifth]
        train += rows[2 * fifth :]
    return _shuffled(train), _shuffled(validation), _shuffled(test)


def _interpolation(old: int, new: int) -> NDArray[np.float32]:
    """Return the [new, old] matrix that interpolates a line of `old` pixels at `new` places."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(old)))
    return np.asarray(weights, dtype=np.float32)


def _shuffled(rows: Iterable[int]) -> list[int]:
    return sorted(rows, key=lambda row: hashlib.sha256(str(row).encode()).digest())


def _part(images: NDArray[np.float32], labels: NDArray[np.int64], rows: list[int]) -> Part:
    return Part(images[rows][:, None], labels[rows])
