"""What a model learns from: inputs with their targets, in three parts.

The `preprocess` step of a recipe returns a `Dataset`; `fit` and `workflow` read it. Plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """Rows that belong together.

    `inputs` has one row per example in its first dimension, as the first argument of the model's forward() takes them;
    `other_inputs` are its further arguments, for models that take several. `targets` has as many rows: class numbers
    (int64, one dimension, or one number per token with -100 where nothing counts) or values to predict (float32).
    """

    inputs: NDArray[Any]
    targets: NDArray[np.int64] | NDArray[np.float32]
    other_inputs: tuple[NDArray[Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuse inputs and targets of different length: they would be paired wrongly."""
        for each in self.arguments:
            if len(each) != len(self.targets):
                message = f"{len(each)} inputs but {len(self.targets)} targets: each input needs exactly one"
                raise ValueError(message)

    @property
    def arguments(self) -> tuple[NDArray[Any], ...]:
        """All inputs in the order of forward()."""
        return (self.inputs, *self.other_inputs)

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    """A data set and its three parts: learn from `train`, choose by `validation`, report `test`."""

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
