"""Access the channels of a layer: the weights that belong to one input or one output.

Input: layers, which are changed in place. `channels` calls it. A hidden unit of a recurrent layer is an output that the
layer also reads; if all its weights are zero, its output is zero, as for a channel of any other layer. Requires torch.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeGuard

import torch
from torch import nn

Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
Recurrent: TypeAlias = nn.LSTM | nn.GRU
Layer: TypeAlias = nn.Linear | Convolution | nn.Embedding | Recurrent


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether channels of this layer can be removed."""
    match module:
        case nn.Linear() | nn.Embedding():
            return True
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return module.groups == 1
        case nn.LSTM() | nn.GRU():
            return module.num_layers == 1 and not module.bidirectional and not module.proj_size
    return False


def widths(layer: Layer) -> tuple[int, int]:
    """Return the number of input and output channels; an embedding has no input channels."""
    match layer:
        case nn.Linear():
            return layer.in_features, layer.out_features
        case nn.Embedding():
            return 0, layer.embedding_dim
        case nn.LSTM() | nn.GRU():
            return layer.input_size, layer.hidden_size
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return layer.in_channels, layer.out_channels


def strengths(producer: Layer, consumer: Layer, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norm of each channel's weights, in the layer that produces it and in the layer that reads it.

    After flattening, `block` consecutive weights of the consumer read one channel.
    """
    width = widths(producer)[1]
    own = torch.zeros(width)
    for each in _outputs(producer):
        weight = _parameter(producer, each.name).detach()
        own += weight.transpose(0, each.axis).flatten(1).norm(dim=1).reshape(each.gates, width).norm(dim=0)
    read = _parameter(consumer, _input_name(consumer)).detach()
    return own, read.transpose(0, 1).flatten(1).norm(dim=1).reshape(width, block).norm(dim=1)


def zero_outputs(layer: Layer, kept: torch.Tensor) -> None:
    """Make all other channels output zero."""
    width = widths(layer)[1]
    gone = torch.ones(width, dtype=torch.bool)
    gone[kept] = False
    for each in (*_outputs(layer), *_biases(layer)):
        with torch.no_grad():
            _parameter(layer, each.name).index_fill_(each.axis, _rows(gone.nonzero()[:, 0], width, each.gates), 0)


def keep_outputs(layer: Layer, kept: torch.Tensor) -> None:
    """Remove all other output channels."""
    width = widths(layer)[1]
    for each in (*_outputs(layer), *_biases(layer)):
        _select(layer, each.name, each.axis, _rows(kept, width, each.gates))
    match layer:
        case nn.Linear():
            layer.out_features = len(kept)
        case nn.Embedding():
            layer.embedding_dim = len(kept)
        case nn.LSTM() | nn.GRU():
            _select(layer, _RECURRENT_WEIGHT, 1, kept)
            layer.hidden_size = len(kept)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            layer.out_channels = len(kept)


def keep_inputs(layer: Layer, kept: torch.Tensor) -> None:
    """Remove all other input channels."""
    _select(layer, _input_name(layer), 1, kept)
    match layer:
        case nn.Linear():
            layer.in_features = len(kept)
        case nn.LSTM() | nn.GRU():
            layer.input_size = len(kept)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            layer.in_channels = len(kept)


class _Weights(NamedTuple):
    """A parameter with the channels along `axis`, repeated for each gate of a recurrent layer."""

    name: str
    axis: int = 0
    gates: int = 1


_RECURRENT_WEIGHT = "weight_hh_l0"


def _outputs(layer: Layer) -> list[_Weights]:
    match layer:
        case nn.Embedding():
            return [_Weights("weight", 1)]
        case nn.LSTM() | nn.GRU():
            return [_Weights(name, 0, _gates(layer)) for name in ("weight_ih_l0", _RECURRENT_WEIGHT)]
    return [_Weights("weight")]


def _biases(layer: Layer) -> list[_Weights]:
    match layer:
        case nn.Embedding():
            return []
        case nn.LSTM() | nn.GRU():
            names = ("bias_ih_l0", "bias_hh_l0") if layer.bias else ()
            return [_Weights(name, 0, _gates(layer)) for name in names]
    return [] if layer.bias is None else [_Weights("bias")]


def _input_name(layer: Layer) -> str:
    return "weight_ih_l0" if isinstance(layer, nn.LSTM | nn.GRU) else "weight"


def _gates(layer: Recurrent) -> int:
    return 4 if isinstance(layer, nn.LSTM) else 3


def _rows(channels: torch.Tensor, width: int, gates: int) -> torch.Tensor:
    return torch.cat([channels + gate * width for gate in range(gates)])


def _parameter(layer: Layer, name: str) -> torch.Tensor:
    found = getattr(layer, name)
    assert isinstance(found, torch.Tensor)  # noqa: S101 - all these names are tensors.
    return found


def _select(layer: Layer, name: str, axis: int, indices: torch.Tensor) -> None:
    smaller = _parameter(layer, name).detach().index_select(axis, indices).clone()
    setattr(layer, name, nn.Parameter(smaller))
