"""Sets the smallest weights of a module to zero, over all layers together.

Input: a module, which is changed. `compression` calls it. torch.nn.utils.prune does the same by putting another
parameter in a weight's place, which recurrent layers do not survive; here the weights stay what they are. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from triton_operator.export.errors import ExportError

_MATRIX = 2
"""Biases and the scales of a normalisation are few and matter each: only what has rows and columns is pruned."""


def prune_weights(module: nn.Module, sparsity: float, fine_tune: Callable[[nn.Module], object] | None) -> None:
    """Prune the share `sparsity` of all weights by magnitude; what `fine_tune` trains then keeps its zeros."""
    weights = _weights(module)
    if not weights:
        raise ExportError("the module has no weights that can be pruned")
    zeros = _smallest(weights, sparsity)
    _zero(weights, zeros)
    if fine_tune is None:
        return
    hooks = [
        weight.register_hook(lambda gradient, zero=zero: gradient.masked_fill(zero, 0))  # type: ignore[no-untyped-call]
        for weight, zero in zip(weights, zeros, strict=True)
        if weight.requires_grad
    ]
    try:
        fine_tune(module)
    finally:
        for hook in hooks:
            hook.remove()
    _zero(weights, zeros)  # An optimizer with a memory of its own, or with decay, moves what has no gradient.


def _weights(module: nn.Module) -> list[nn.Parameter]:
    """Each matrix, tied ones once."""
    return [each for each in module.parameters() if each.dim() >= _MATRIX and each.dtype.is_floating_point]


def _smallest(weights: list[nn.Parameter], sparsity: float) -> list[torch.Tensor]:
    """Where the smallest of all are, for each of the weights."""
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    chosen = torch.zeros(len(sizes), dtype=torch.bool)
    chosen[sizes.topk(round(sparsity * len(sizes)), largest=False).indices] = True
    parts = torch.split(chosen, [weight.numel() for weight in weights])
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]


def _zero(weights: list[nn.Parameter], zeros: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for weight, zero in zip(weights, zeros, strict=True):
            weight.masked_fill_(zero, 0)
