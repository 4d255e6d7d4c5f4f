"""Types that the methods share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Predict = Callable[[Array], Array]
"""A model: rows [n, ...], or texts [n], in; one answer per row, [n] or [n, ...], out. The methods need nothing else."""

Progress = Callable[[int, int], None]
"""Called with the number of rows that are done and the total."""
