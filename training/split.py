"""Split examples into training, validation and test, reproducibly. Needs only numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_PARTS = 5
"""One fifth of each class is for validation, one fifth for test, and the rest for training."""


def stratified(labels: NDArray[np.int64]) -> tuple[list[int], list[int], list[int]]:
    """Split row numbers into training, validation and test, with the same share of each label in all of them.

    Rows are shuffled by a hash of their number. Unlike a random generator, the hash does not depend on the version of
    a library, so test rows cannot leak into a later training.
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


def _shuffled(rows: Iterable[int]) -> list[int]:
    return sorted(rows, key=lambda row: hashlib.sha256(str(row).encode()).digest())
