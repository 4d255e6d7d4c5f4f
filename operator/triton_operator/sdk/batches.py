"""Split many rows into several requests, and join their results.

Pure. Input: arrays whose first dimension counts rows. Output: parts with a bounded number of rows, and the outputs
joined in the order of the parts. The clients call it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from triton_operator.sdk.tensors import Array


def count_rows(inputs: Mapping[str, Array]) -> int:
    """The number of rows of a request, which all its inputs share."""
    return max((len(array) for array in inputs.values()), default=0)


def split_rows(inputs: Mapping[str, Array], size: int) -> list[dict[str, Array]]:
    """Parts of at most `size` rows, in order; they are views, so nothing is copied."""
    starts = range(0, count_rows(inputs), size)
    return [{name: array[start : start + size] for name, array in inputs.items()} for start in starts]


def join_rows(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The outputs of all parts, one after the other."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
