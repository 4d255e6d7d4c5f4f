"""Data sets: inputs with their targets, split into training, validation and test.

The `preprocess` step of a recipe returns a `Dataset`; `fit` and `workflow` read it. Plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """One part of a data set.

    `inputs` has one row per example in its first dimension, as the first argument of the model's forward() takes them;
    `other_inputs` are its further arguments, for models that take several. `targets` has as many rows: class numbers
    (int64, one dimension, or one per token with -100 for ignored positions) or values to predict (float32).
    """

    inputs: NDArray[Any]
    targets: NDArray[np.int64] | NDArray[np.float32]
    other_inputs: tuple[NDArray[Any], ...] = ()

    def __post_init__(self) -> None:
        """Reject inputs and targets of different length."""
        for each in self.arguments:
            if len(each) != len(self.targets):
                message = f"{len(each)} inputs but {len(self.targets)} targets: each input needs exactly one"
                raise ValueError(message)

    @property
    def arguments(self) -> tuple[NDArray[Any], ...]:
        """All inputs, in the order of forward()'s parameters."""
        return (self.inputs, *self.other_inputs)

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    """A data set with its three parts: train on `train`, select by `validation`, report on `test`."""

    name: str
    source: str
    licence: str
    train: Part
    validation: Part
    test: Part
    remarks: str = ""

    def rows(self) -> dict[str, int]:
        """Count the examples of each part."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
