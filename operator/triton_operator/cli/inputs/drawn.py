"""Inputs made up for a model, to load it with when nobody gave any.

Pure, given its seed. Input: what the model declares. Output: an array for each input. Small whole numbers, fractions
from 0 to 1, short texts: what most models take without a complaint. One that minds gets a file instead.
"""

from __future__ import annotations

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model, Tensor, numpy_type
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY

_TEXTS = ("我爱你", "what a waste of time", "not bad at all", "这部电影不好看")
_HIGHEST = 10
"""Whole numbers stay below it: they may be places in a vocabulary or a table."""


def draw(model: Model, rows: int, *, seed: int = 0) -> dict[str, Array]:
    """Inputs of so many rows; sizes that the model leaves open are one. Raises UsageError."""
    random = np.random.default_rng(seed)
    unbatched = next((tensor for tensor in model.inputs if not tensor.batched), None)
    if rows > 1 and unbatched is not None:
        raise UsageError(f"--batch: {model.name} takes {unbatched.shown}, whose first dimension is no batch")
    return {tensor.name: _array(tensor, rows, random) for tensor in model.inputs}


def _array(tensor: Tensor, rows: int, random: np.random.Generator) -> Array:
    kind = numpy_type(tensor, f"made-up inputs for {tensor.name}")
    sizes = [1 if size == ANY else size for size in tensor.row]
    shape = [rows, *sizes] if tensor.batched else sizes
    if tensor.datatype == "BYTES":
        return random.choice(np.array(_TEXTS, dtype=np.object_), size=shape)
    if tensor.datatype == "BOOL":
        return random.integers(0, 2, size=shape).astype(np.bool_)
    if issubclass(kind, np.floating):
        return random.random(size=shape).astype(kind)
    return random.integers(0, _HIGHEST, size=shape).astype(kind)
