"""Compute the tensors of `batch_input`, which contain the element counts or shapes of the requests in a ragged batch.

Input: the kind, and the shapes of one input in all requests of the batch. Output: the tensor for forward(). `batching`
calls it. Kinds and shapes are those of Triton's backend library (backend_input_collector.cc); counts include all rows
of a request.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensor_specs import ModelTensor

_DTYPES = {"FP32": torch.float32, "INT32": torch.int32}


def batch_input_tensor(spec: ModelTensor, shapes: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Return the tensor; raises ValueError for an unknown kind."""
    counts = [prod(shape) for shape in shapes]
    dtype = _DTYPES.get(spec.dtype, torch.int32)
    items = [list(shape[1:]) for shape in shapes for _ in range(shape[0])]
    match spec.kind:
        case "BATCH_ELEMENT_COUNT":
            return torch.tensor(counts, dtype=dtype)
        case "BATCH_ACCUMULATED_ELEMENT_COUNT":
            return torch.tensor(list(accumulate(counts)), dtype=dtype)
        case "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO":
            return torch.tensor([0, *accumulate(counts)], dtype=dtype)
        case "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE":
            return torch.zeros(max(counts), dtype=dtype)
        case "BATCH_ITEM_SHAPE":
            return torch.tensor(items, dtype=dtype)
        case "BATCH_ITEM_SHAPE_FLATTEN":
            return torch.tensor(items, dtype=dtype).flatten()
    raise ValueError(f"batch_input '{spec.name}': kind {spec.kind} is unknown")
