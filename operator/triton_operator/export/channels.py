"""Remove whole channels and hidden units from a module, so that its layers become smaller.

Input: a module, which is changed in place, and arguments of forward(). `compression` calls it. Which layer reads the
output of another is determined by comparison: for two consecutive layers, the channels of the first are set to zero in
one copy of the module and removed from both layers in another copy. They are removed only if both copies return the
same outputs. Skip connections, attention heads and normalization over all channels are therefore left unchanged.
Requires torch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from triton_operator.export.drawing import drawn_arguments
from triton_operator.export.errors import ExportError
from triton_operator.export.layers import Layer, is_layer, keep_inputs, keep_outputs, strengths, widths, zero_outputs
from triton_operator.export.tensors import Value, difference, read_values

_ALIKE = 1e-3
"""Maximum difference between the two copies. Rounding is far below it; a wrong pair of layers differs by far more, or
fails."""

Normalisation: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class _Pair(NamedTuple):
    """Names of two consecutive layers, and of the normalization layers between them."""

    producer: str
    consumer: str
    between: tuple[str, ...]


def remove_channels(module: nn.Module, examples: Sequence[Value], sparsity: float) -> list[str]:
    """Remove the weakest fraction `sparsity` of each layer's channels; return the layers. Raises ExportError."""
    arguments = drawn_arguments(examples, 0, torch.Generator().manual_seed(0))
    done = [pair.producer for pair in _pairs(module, arguments) if _remove(module, pair, arguments, sparsity)]
    if not done:
        raise ExportError("no channels can be removed: no layer is read by exactly one other layer")
    return done


def _pairs(module: nn.Module, arguments: Sequence[Value]) -> list[_Pair]:
    """Return each layer with the layer that runs after it, in order, except for layers that run twice."""
    ran = _order(module, arguments)
    pairs: list[_Pair] = []
    for index, name in enumerate(ran):
        if not is_layer(module.get_submodule(name)) or ran.count(name) > 1:
            continue
        rest = ran[index + 1 :]
        next_layer = next((each for each in rest if is_layer(module.get_submodule(each))), None)
        if next_layer is not None and ran.count(next_layer) == 1:
            pairs.append(_Pair(name, next_layer, tuple(rest[: rest.index(next_layer)])))
    return pairs


def _order(module: nn.Module, arguments: Sequence[Value]) -> list[str]:
    ran: list[str] = []
    hooks = [
        each.register_forward_hook(lambda _module, _inputs, _outputs, name=name: ran.append(name))
        for name, each in module.named_modules()
        if is_layer(each) or isinstance(each, Normalisation)
    ]
    try:
        _forward(module, arguments)
    finally:
        for hook in hooks:
            hook.remove()
    return ran


def _remove(module: nn.Module, pair: _Pair, arguments: Sequence[Value], sparsity: float) -> bool:
    """Remove channels from one pair; return False, without changes, if the second layer does not read the first."""
    kept = _kept(_layer(module, pair.producer), _layer(module, pair.consumer), sparsity)
    if kept is None:
        return False
    masked, smaller = copy.deepcopy(module), copy.deepcopy(module)
    _mask(masked, pair, kept)
    _shrink(smaller, pair, kept)
    try:
        change = difference(_forward(masked, arguments), _forward(smaller, arguments))
    except Exception:  # noqa: BLE001 - torch raises various errors for sizes that do not match.
        return False
    if not change <= _ALIKE:
        return False
    _shrink(module, pair, kept)
    return True


def _kept(producer: Layer, consumer: Layer, sparsity: float) -> torch.Tensor | None:
    """Return the indices of the channels to keep, in order, or None if the sizes of the layers do not match."""
    (_, width), (read, _) = widths(producer), widths(consumer)
    count = max(1, width - round(sparsity * width))
    if not read or read % width or count == width:
        return None
    own, next_ones = strengths(producer, consumer, read // width)
    kept: torch.Tensor = (own * next_ones).topk(count).indices.sort().values
    return kept


def _mask(module: nn.Module, pair: _Pair, kept: torch.Tensor) -> None:
    zero_outputs(_layer(module, pair.producer), kept)
    for each in _normalisations(module, pair):
        gone = torch.ones(each.num_features, dtype=torch.bool)
        gone[kept] = False
        with torch.no_grad():
            each.weight[gone] = 0
            each.bias[gone] = 0


def _shrink(module: nn.Module, pair: _Pair, kept: torch.Tensor) -> None:
    producer, consumer = _layer(module, pair.producer), _layer(module, pair.consumer)
    (_, width), (read, _) = widths(producer), widths(consumer)
    each_has = torch.arange(read // width)
    normalisations = _normalisations(module, pair)
    keep_outputs(producer, kept)
    keep_inputs(consumer, (kept[:, None] * (read // width) + each_has).flatten())
    for each in normalisations:
        for name in ("weight", "bias"):
            setattr(each, name, nn.Parameter(getattr(each, name).detach()[kept]))
        for name in ("running_mean", "running_var"):
            setattr(each, name, getattr(each, name)[kept])
        each.num_features = len(kept)


def _normalisations(module: nn.Module, pair: _Pair) -> list[Normalisation]:
    """Return the normalization layers of the producer's channels; without weights, they cannot output zeros."""
    found = [module.get_submodule(name) for name in pair.between]
    width = widths(_layer(module, pair.producer))[1]
    return [each for each in found if isinstance(each, Normalisation) and each.num_features == width and each.affine]


def _layer(module: nn.Module, name: str) -> Layer:
    found = module.get_submodule(name)
    assert is_layer(found)  # noqa: S101 - only such are paired.
    return found


def _forward(module: nn.Module, arguments: Sequence[Value]) -> list[Value]:
    with torch.no_grad():
        return read_values(module(*arguments), "forward() returned")
