"""Types shared by the methods. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Predict = Callable[[Array], Array]
"""A model: maps rows [n, ...] or texts [n] to one output per row, [n] or [n, ...]."""

Progress = Callable[[int, int], None]
"""Called with the number of evaluated rows and the total number of rows to evaluate."""
