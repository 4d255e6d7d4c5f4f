"""Divides examples into training, validation and test, the same way each time. Plain numpy; data sets call it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_PARTS = 5
"""Of five rows of a class, one goes to validation, one to test, three to training."""


def stratified(labels: NDArray[np.int64]) -> tuple[list[int], list[int], list[int]]:
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


def _shuffled(rows: Iterable[int]) -> list[int]:
    return sorted(rows, key=lambda row: hashlib.sha256(str(row).encode()).digest())
