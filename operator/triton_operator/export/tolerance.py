"""What an exported model's answers may differ by."""

from __future__ import annotations

from typing import Any

TOLERANCE = 1e-5
"""Largest difference of a value, of itself where it is above 1: the same sums on the same processor."""

NEXT_BYTE = 0.01
"""The same for layers in 8 bits: a sum that is added in another order may be rounded to the next of 256 numbers."""

_IN_BYTES = "torch.ao.nn.quantized."
_RECURRENT_IN_BYTES = "torch.ao.nn.quantized.dynamic.modules.rnn"


def for_another_order(module: Any, tolerance: float) -> float:
    """The tolerance for sums in another order: by an optimised kernel, or in a batch with other rows.

    `module` is anything that answers. Recurrent layers in 8 bits are held to `tolerance`, because with their one scale
    for a whole batch rows do influence each other. Torch's layers in a scripted module cannot be told.
    """
    homes = [type(each).__module__ for each in module.modules()] if hasattr(module, "modules") else []
    in_bytes = any(home.startswith(_IN_BYTES) for home in homes) and _RECURRENT_IN_BYTES not in homes
    return max(tolerance, NEXT_BYTE) if in_bytes else tolerance
