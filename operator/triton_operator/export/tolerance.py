"""Tolerances for the outputs of an exported model."""

from __future__ import annotations

from typing import Any

TOLERANCE = 1e-5
"""Largest difference of a value (relative for values above 1), if the same processor adds in the same order."""

NEXT_BYTE = 0.01
"""The same for 8-bit layers, because a different order of addition may round to the adjacent 8-bit number."""

_IN_BYTES = "torch.ao.nn.quantized."
_RECURRENT_IN_BYTES = "torch.ao.nn.quantized.dynamic.modules.rnn"


def for_another_order(module: Any, tolerance: float) -> float:
    """Return the tolerance for sums in another order: in an optimized kernel, or with other rows in the batch.

    `module` may be any callable. For 8-bit recurrent layers, `tolerance` applies unchanged, because rows of a batch
    share one scale and do affect each other. Quantized layers of torch in a scripted module cannot be detected.
    """
    homes = [type(each).__module__ for each in module.modules()] if hasattr(module, "modules") else []
    in_bytes = any(home.startswith(_IN_BYTES) for home in homes) and _RECURRENT_IN_BYTES not in homes
    return max(tolerance, NEXT_BYTE) if in_bytes else tolerance
