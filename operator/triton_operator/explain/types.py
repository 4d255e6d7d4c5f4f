"""Words that the methods share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Predict = Callable[[Array], Array]
"""A model: rows [n, ...], or texts [n], in; one answer per row, [n] or [n, ...], out. The methods need nothing else."""

Progress = Callable[[int, int], None]
"""Is told how many rows have been answered, and how many will be asked in all."""


class Kind(StrEnum):
    """What a row is: decides what is taken away from it at a time, and how the result is drawn."""

    PICTURE = "picture"
    TEXT = "text"
    COLUMNS = "columns"


class Method(StrEnum):
    """How attributions are found. The last four need the model's file, the others only its answers."""

    AUTO = "auto"
    KERNEL_SHAP = "kernel-shap"
    OCCLUSION = "occlusion"
    INTEGRATED_GRADIENTS = "integrated-gradients"
    SALIENCY = "saliency"
    SMOOTH_GRAD = "smooth-grad"
    EMBEDDING_GRADIENTS = "embedding-gradients"


GRADIENTS = frozenset(
    {Method.INTEGRATED_GRADIENTS, Method.SALIENCY, Method.SMOOTH_GRAD, Method.EMBEDDING_GRADIENTS},
)
