"""Set the smallest weights of a module to zero, over all layers together.

Input: a module, which is changed in place. `compression` calls it. torch.nn.utils.prune replaces a weight with another
parameter, which recurrent layers do not support; here, the parameters stay in place. Requires torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from triton_operator.export.errors import ExportError

_MATRIX = 2
"""Only weights with rows and columns are pruned, because biases and normalization scales are few and important."""


def prune_weights(module: nn.Module, sparsity: float, fine_tune: Callable[[nn.Module], object] | None) -> None:
    """Set the fraction `sparsity` of smallest weights to zero; they stay zero while `fine_tune` trains the others."""
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
    _zero(weights, zeros)  # Momentum or weight decay can change weights without a gradient.


def _weights(module: nn.Module) -> list[nn.Parameter]:
    """Return each weight matrix; shared matrices once."""
    return [each for each in module.parameters() if each.dim() >= _MATRIX and each.dtype.is_floating_point]


def _smallest(weights: list[nn.Parameter], sparsity: float) -> list[torch.Tensor]:
    """Return a mask of the smallest weights for each matrix."""
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    chosen = torch.zeros(len(sizes), dtype=torch.bool)
    chosen[sizes.topk(round(sparsity * len(sizes)), largest=False).indices] = True
    parts = torch.split(chosen, [weight.numel() for weight in weights])
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]


def _zero(weights: list[nn.Parameter], zeros: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for weight, zero in zip(weights, zeros, strict=True):
            weight.masked_fill_(zero, 0)
