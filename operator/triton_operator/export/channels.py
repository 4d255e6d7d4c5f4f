"""Takes whole channels and hidden units out of a module, so that its layers are really smaller.

Input: a module, which is changed, and arguments of forward(). `compression` calls it. Which layer reads what another
one gives is not guessed: of two layers that run one after the other the first one's channels are set to zero in one
copy and taken out of both in another, and only where the two copies answer alike are they gone. So skip connections,
heads of attention and normalisation over all channels are left as they are. Needs torch.
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
"""Sums of fewer terms are added in another order; a wrong pair of layers differs by far more, or cannot run at all."""

Normalisation: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class _Pair(NamedTuple):
    """Names of two layers of which the second may read what the first gives, and of what normalises in between."""

    producer: str
    consumer: str
    between: tuple[str, ...]


def remove_channels(module: nn.Module, examples: Sequence[Value], sparsity: float) -> list[str]:
    """Take the weakest share `sparsity` out of each layer where that can be; their names. Raises ExportError."""
    arguments = drawn_arguments(examples, 0, torch.Generator().manual_seed(0))
    done = [pair.producer for pair in _pairs(module, arguments) if _remove(module, pair, arguments, sparsity)]
    if not done:
        raise ExportError("no layer's channels can be taken out: none is read by one other layer alone")
    return done


def _pairs(module: nn.Module, arguments: Sequence[Value]) -> list[_Pair]:
    """Layers in the order in which they run, each with the next one; those that run twice are left out."""
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
    """Take channels out of one pair; False, and nothing has changed, where the pair does not belong together."""
    kept = _kept(_layer(module, pair.producer), _layer(module, pair.consumer), sparsity)
    if kept is None:
        return False
    masked, smaller = copy.deepcopy(module), copy.deepcopy(module)
    _mask(masked, pair, kept)
    _shrink(smaller, pair, kept)
    try:
        change = difference(_forward(masked, arguments), _forward(smaller, arguments))
    except Exception:  # noqa: BLE001 - whatever torch says of sizes that do not fit: the pair is none.
        return False
    if not change <= _ALIKE:
        return False
    _shrink(module, pair, kept)
    return True


def _kept(producer: Layer, consumer: Layer, sparsity: float) -> torch.Tensor | None:
    """Numbers of the channels that stay, in their order; None where the sizes cannot belong together."""
    (_, given), (read, _) = widths(producer), widths(consumer)
    staying = max(1, given - round(sparsity * given))
    if not read or read % given or staying == given:
        return None
    own, next_ones = strengths(producer, consumer, read // given)
    kept: torch.Tensor = (own * next_ones).topk(staying).indices.sort().values
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
    (_, given), (read, _) = widths(producer), widths(consumer)
    each_has = torch.arange(read // given)
    normalisations = _normalisations(module, pair)
    keep_outputs(producer, kept)
    keep_inputs(consumer, (kept[:, None] * (read // given) + each_has).flatten())
    for each in normalisations:
        for name in ("weight", "bias"):
            setattr(each, name, nn.Parameter(getattr(each, name).detach()[kept]))
        for name in ("running_mean", "running_var"):
            setattr(each, name, getattr(each, name)[kept])
        each.num_features = len(kept)


def _normalisations(module: nn.Module, pair: _Pair) -> list[Normalisation]:
    """Those of the producer's channels; one without weights cannot be told to give zeros and spoils the comparison."""
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
