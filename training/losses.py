"""Loss functions, one per type of output; recipes use them. Needs torch.

A classifier's forward() returns logits in training mode, because small probabilities round to zero, and probabilities
in evaluation mode, for clients. Each loss accepts both.
"""

from __future__ import annotations

import torch
from torch import nn

from training.recipe import Arguments

IGNORED = -100
"""The label of ignored positions: padding, in models with an output per token."""


def cross_entropy(model: nn.Module, arguments: Arguments, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of a batch; the last dimension of the outputs is the class."""
    outputs = model(*arguments)
    outputs, labels = outputs.reshape(-1, outputs.shape[-1]), labels.reshape(-1)
    if model.training:
        return nn.functional.cross_entropy(outputs, labels, ignore_index=IGNORED)
    logarithms = outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
    return nn.functional.nll_loss(logarithms, labels, ignore_index=IGNORED)


def binary_cross_entropy(model: nn.Module, arguments: Arguments, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of a batch; outputs are [batch, 1], labels 0 or 1."""
    outputs = model(*arguments)
    targets = labels.to(outputs.dtype).reshape(outputs.shape)
    if model.training:
        return nn.functional.binary_cross_entropy_with_logits(outputs, targets)
    return nn.functional.binary_cross_entropy(outputs, targets)


def squared_error(model: nn.Module, arguments: Arguments, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of a batch."""
    return nn.functional.mse_loss(model(*arguments), targets)
