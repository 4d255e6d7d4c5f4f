"""Compress a module before it is exported, and reject the result if it is not accurate enough.

Input: a module, a method, and a function that scores a module. Output: another module for `export_torchscript` or
`export_aotinductor`, with the scores before and after. `triton_operator.export.compress` is the public function; each
method has its own module. Requires torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import torch
from torch import nn

from triton_operator.export.channels import remove_channels
from triton_operator.export.errors import CompressionRejectedError, ExportError
from triton_operator.export.precision import halve, quantize, quantize_for_aotinductor
from triton_operator.export.pruning import prune_weights
from triton_operator.export.tensors import Value

Evaluate = Callable[[nn.Module], float]
"""Returns the score of a module, where higher is better: accuracy, F1 or a negative error, on data not used for
training."""

FineTune = Callable[[nn.Module], object]
"""Trains a pruned module further, in place."""


class CompressionMethod(StrEnum):
    """Compression methods.

    `PRUNE` sets the smallest weights to zero: the file has the same size, but compresses better. `PRUNE_CHANNELS`
    removes whole channels and hidden units, for a smaller and faster model. `INT8` stores weights in 8 bits and
    multiplies in 8 bits; `FP16` stores weights in 16 bits. `INT8_AOTINDUCTOR` is INT8 for AOTInductor, with torchao.
    """

    PRUNE = "prune"
    PRUNE_CHANNELS = "prune-channels"
    INT8 = "int8"
    FP16 = "fp16"
    INT8_AOTINDUCTOR = "int8-aotinductor"


_PRUNING = {CompressionMethod.PRUNE, CompressionMethod.PRUNE_CHANNELS}


class CompressionSettings(NamedTuple):
    """The method and its parameters; `sparsity` is the fraction of weights, or of each layer's channels, to remove."""

    method: CompressionMethod
    sparsity: float = 0.5
    fine_tune: FineTune | None = None


class Compressed(NamedTuple):
    """The compressed module, and the scores before and after."""

    module: nn.Module
    before: float
    after: float

    @property
    def drop(self) -> float:
        """The decrease of the score."""
        return self.before - self.after


def compress(
    module: nn.Module, settings: CompressionSettings, examples: Sequence[Value], evaluate: Evaluate, max_drop: float
) -> Compressed:
    """Return the compressed module; raises CompressionRejectedError if its score drops by more than `max_drop`."""
    before = _judge(evaluate, module)
    smaller = apply(module, settings, examples)
    compressed = Compressed(smaller, before, _judge(evaluate, smaller))
    # Written this way so that a score of NaN is rejected too.
    if not compressed.drop <= max_drop:
        raise CompressionRejectedError(
            f"{settings.method} lowers the score by {compressed.drop:.4g} ({before:.4g} before, "
            f"{compressed.after:.4g} after), and {max_drop:g} is allowed"
        )
    return compressed


def apply(module: nn.Module, settings: CompressionSettings, examples: Sequence[Value]) -> nn.Module:
    """Return a compressed copy without scoring it; the module is not changed. Raises ExportError."""
    if settings.method in _PRUNING and not 0 < settings.sparsity < 1:
        raise ExportError(f"sparsity {settings.sparsity:g}: must be above 0 and below 1")
    if settings.fine_tune and settings.method not in _PRUNING:
        raise ExportError(f"{settings.method}: fine-tuning is supported only after pruning")
    smaller = copy.deepcopy(module).eval()
    match settings.method:
        case CompressionMethod.PRUNE:
            prune_weights(smaller, settings.sparsity, settings.fine_tune)
        case CompressionMethod.PRUNE_CHANNELS:
            remove_channels(smaller, examples, settings.sparsity)
            if settings.fine_tune:
                settings.fine_tune(smaller)
        case CompressionMethod.INT8:
            smaller = quantize(smaller)
        case CompressionMethod.FP16:
            smaller = halve(smaller)
        case CompressionMethod.INT8_AOTINDUCTOR:
            quantize_for_aotinductor(smaller)
    return smaller.eval()


def _judge(evaluate: Evaluate, module: nn.Module) -> float:
    with torch.no_grad():
        score = evaluate(module.eval())
    try:
        return float(score)
    except (TypeError, ValueError) as error:
        raise ExportError(f"the evaluation returned {type(score).__name__} instead of a number") from error
