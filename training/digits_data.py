"""Load handwritten digits as 28x28 images, without torch.

The data set is part of scikit-learn: 1,797 digits of 8x8 pixels with values 0 to 16, written by 13 people (the test set
of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998).
`training.digits` trains on them; the demo and the end-to-end tests send those of the test set to a server.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from training.dataset import Dataset, Part
from training.split import stratified

SIDE = 28
"""Width and height of the model's input, in pixels."""

CLASSES = tuple(str(digit) for digit in range(10))
"""Names of the classes, in order."""

FRAMED_SIDE = 10
"""Width and height of a digit with a border of paper, in pixels: the lines of a sequence, and the pixels per line."""

_HIGHEST_VALUE = 16.0
"""Each pixel of the source is the number of dark pixels in a 4x4 block of the scan."""


def unseen_digits(count: int | None = None) -> Part:
    """Return the first `count` digits of the test set (all if None).

    Inputs have the shape [count, 1, 28, 28], float32 from 0 (paper) to 1 (ink); targets are the digits 0 to 9.
    The models are not trained on them. Adjacent digits differ, so that a short list shows variety.
    """
    test = load().test
    return Part(test.inputs[:count], test.targets[:count])


@cache
def load() -> Dataset:
    """Read all digits, resize them and split them into three fixed parts."""
    images, labels = _read()
    return _dataset(resize(images, SIDE)[:, None], labels)


@cache
def load_sequences() -> Dataset:
    """Read all digits as sequences of ten lines of ten pixels, in the same three parts.

    Inputs have the shape [count, 10, 10], float32 from 0 (paper) to 1 (ink): the 8x8 pixels with a border of paper.
    """
    images, labels = _read()
    frame = (FRAMED_SIDE - images.shape[-1]) // 2
    return _dataset(np.pad(images, [(0, 0), (frame, frame), (frame, frame)]), labels)


def resize(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize square images [count, n, n] to [count, side, side] by bilinear interpolation.

    Pixel centres are at half coordinates, as in PyTorch's `interpolate(align_corners=False)`.
    """
    weights = _interpolation(images.shape[-1], side)
    return (weights @ images @ weights.T).astype(np.float32)


def _read() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the images [count, 8, 8] with values from 0 to 1, and their labels."""
    digits = load_digits()
    images = np.asarray(digits.images, dtype=np.float32) / np.float32(_HIGHEST_VALUE)
    return images, np.asarray(digits.target, dtype=np.int64)


def _dataset(images: NDArray[np.float32], labels: NDArray[np.int64]) -> Dataset:
    train, validation, test = (Part(images[rows], labels[rows]) for rows in stratified(labels))
    return Dataset(
        name="Optical Recognition of Handwritten Digits (1,797 digits that ship with scikit-learn)",
        source="E. Alpaydin, C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49",
        licence="CC-BY-4.0",
        train=train,
        validation=validation,
        test=test,
        remarks="The data do not log who wrote a digit, so the same hands appear in all three parts.",
    )


def _interpolation(old: int, new: int) -> NDArray[np.float32]:
    """Return the [new, old] matrix that resamples a line of `old` pixels to `new` pixels."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(old)))
    return np.asarray(weights, dtype=np.float32)
