"""Generate inputs for a model, for a load test without a file.

Pure for a given seed. Input: the model's interface. Output: an array for each input: small integers, fractions from 0
to 1 and short texts, which most models accept. For the others, the user passes a file.
"""

from __future__ import annotations

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.sdk.inputs import place_of
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.tensors import Array
from triton_operator.sdk.values import numpy_dtype
from triton_operator.triton.model_file.signature import ANY

_TEXTS = ("我爱你", "what a waste of time", "not bad at all", "这部电影不好看")
_INTEGER_LIMIT = 10
"""Integers are smaller, because they can be indexes into a vocabulary or a table."""


def random_inputs(interface: ModelInterface, rows: int, *, seed: int = 0) -> dict[str, Array]:
    """Return inputs with this number of rows; other open sizes are 1. Raises UsageError, InvalidRequestError."""
    random = np.random.default_rng(seed)
    unbatched = next((tensor for tensor in interface.inputs if not tensor.batched), None)
    if rows > 1 and unbatched is not None:
        raise UsageError(f"--batch: the first dimension of {unbatched.named} of {interface.model} is not a batch")
    return {tensor.name: _array(tensor, rows, random) for tensor in interface.inputs}


def _array(tensor: TensorInterface, rows: int, random: np.random.Generator) -> Array:
    dtype = numpy_dtype(tensor, place_of(tensor.name))
    sizes = [1 if size == ANY else size for size in tensor.row]
    shape = [rows, *sizes] if tensor.batched else sizes
    if tensor.datatype == "BYTES":
        return random.choice(np.array(_TEXTS, dtype=np.object_), size=shape)
    if tensor.datatype == "BOOL":
        return random.integers(0, 2, size=shape).astype(np.bool_)
    if dtype.kind in "iu":
        return random.integers(0, _INTEGER_LIMIT, size=shape).astype(dtype)
    return random.random(size=shape).astype(dtype)
