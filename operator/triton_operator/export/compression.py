"""Makes a module smaller before it is exported, and refuses what costs too much of its accuracy.

Input: a module, a method, and a function that judges a module. Output: another module, which `export_torchscript` and
`export_aotinductor` take, with the scores before and after. `compress` in `triton_operator.export` is the way in; the
methods are in files of their own. Needs torch.
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
"""Judges a module; higher is better. Accuracy, F1 or minus an error, on data that it was not trained with."""

FineTune = Callable[[nn.Module], object]
"""Trains a pruned module a little more, in place."""


class CompressionMethod(StrEnum):
    """What is done to a module.

    `PRUNE` sets the smallest weights to zero: the file stays as large, but packs better. `PRUNE_CHANNELS` takes whole
    channels and hidden units out: smaller and quicker. `INT8` stores weights in a byte each and multiplies bytes;
    `FP16` stores them in two. `INT8_AOTINDUCTOR` is INT8 for AOTInductor, by torchao.
    """

    PRUNE = "prune"
    PRUNE_CHANNELS = "prune-channels"
    INT8 = "int8"
    FP16 = "fp16"
    INT8_AOTINDUCTOR = "int8-aotinductor"


_PRUNING = {CompressionMethod.PRUNE, CompressionMethod.PRUNE_CHANNELS}


class CompressionSettings(NamedTuple):
    """How to compress: `sparsity` is the share that pruning takes away, of weights or of each layer's channels."""

    method: CompressionMethod
    sparsity: float = 0.5
    fine_tune: FineTune | None = None


class Compressed(NamedTuple):
    """The smaller module, and the scores of both."""

    module: nn.Module
    before: float
    after: float

    @property
    def drop(self) -> float:
        """How much worse it got."""
        return self.before - self.after


def compress(
    module: nn.Module, settings: CompressionSettings, examples: Sequence[Value], evaluate: Evaluate, max_drop: float
) -> Compressed:
    """The compressed module; raises CompressionRejectedError when its score is lower by more than `max_drop`."""
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
    """A compressed copy, whatever it costs; the module itself stays as it is. Raises ExportError."""
    if settings.method in _PRUNING and not 0 < settings.sparsity < 1:
        raise ExportError(f"sparsity {settings.sparsity:g}: must be above 0 and below 1")
    if settings.fine_tune and settings.method not in _PRUNING:
        raise ExportError(f"{settings.method}: only a pruned module is trained again")
    ours = copy.deepcopy(module).eval()
    match settings.method:
        case CompressionMethod.PRUNE:
            prune_weights(ours, settings.sparsity, settings.fine_tune)
        case CompressionMethod.PRUNE_CHANNELS:
            remove_channels(ours, examples, settings.sparsity)
            if settings.fine_tune:
                settings.fine_tune(ours)
        case CompressionMethod.INT8:
            ours = quantize(ours)
        case CompressionMethod.FP16:
            ours = halve(ours)
        case CompressionMethod.INT8_AOTINDUCTOR:
            quantize_for_aotinductor(ours)
    return ours.eval()


def _judge(evaluate: Evaluate, module: nn.Module) -> float:
    with torch.no_grad():
        score = evaluate(module.eval())
    try:
        return float(score)
    except (TypeError, ValueError) as error:
        raise ExportError(f"the evaluation returned {type(score).__name__}, and has to return a number") from error
