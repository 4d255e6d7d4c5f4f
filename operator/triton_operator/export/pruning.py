"""Sets the smallest weights of a module to zero, over all layers together.

Enters: a module, which is changed. `compression` calls it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils import prune

from triton_operator.export.errors import ExportError

_MATRIX = 2
"""Biases and the scales of a normalisation are few and matter each: only what has rows and columns is pruned."""


def prune_weights(module: nn.Module, sparsity: float, fine_tune: Callable[[nn.Module], object] | None) -> None:
    """Prune the share `sparsity` of all weights by magnitude; what `fine_tune` trains then keeps its zeros."""
    chosen = list(_weights(module))
    if not chosen:
        raise ExportError("the module has no weights that can be pruned")
    if fine_tune is None:
        _zero(chosen, sparsity)
        return
    hooked = [pair for pair in chosen if not isinstance(pair[0], nn.RNNBase)]
    if not hooked:
        raise ExportError(
            "the weights of recurrent layers alone cannot be trained with zeros kept; leave fine_tune out"
        )
    prune.global_unstructured(hooked, pruning_method=prune.L1Unstructured, amount=sparsity)
    fine_tune(module)
    for owner, name in hooked:
        prune.remove(owner, name)  # type: ignore[no-untyped-call]


def _weights(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Owner and name of each matrix, tied ones once."""
    found: dict[int, tuple[nn.Module, str]] = {}
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.dim() >= _MATRIX and parameter.dtype.is_floating_point:
                found.setdefault(id(parameter), (owner, name))
    return list(found.values())


def _zero(chosen: list[tuple[nn.Module, str]], sparsity: float) -> None:
    """In place: recurrent layers keep a list of their weights, which a replaced parameter would not be in."""
    weights = [getattr(owner, name) for owner, name in chosen]
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    count = round(sparsity * len(sizes))
    smallest = torch.zeros(len(sizes), dtype=torch.bool)
    smallest[sizes.topk(count, largest=False).indices] = True
    with torch.no_grad():
        for weight, zero in zip(weights, torch.split(smallest, [weight.numel() for weight in weights]), strict=True):
            weight.masked_fill_(zero.reshape(weight.shape), 0)
