"""Stores a module's weights in fewer bits.

Input: a module. Output: one whose layers are replaced. `compression` calls it. Needs torch, and torchao for what
AOTInductor is to compile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

from triton_operator.export.errors import ExportError

_RECURRENT = (nn.LSTM, nn.GRU)


def quantize(module: nn.Module) -> nn.Module:
    """Linear and recurrent layers with weights of 8 bits, whose inputs become 8 bits while they run.

    Each row of a linear layer's input has a scale of its own. In a recurrent one a scale serves a whole batch, so an
    answer depends a little on what else is in its batch. Deprecated in torch in favour of torchao, whose tensors
    TorchScript does not know.
    """
    if not any(isinstance(each, (nn.Linear, *_RECURRENT)) for each in module.modules()):
        raise ExportError(
            "the module has no linear or recurrent layers, and only their weights can be stored in 8 bits"
        )
    module = _dynamic(module, set(_RECURRENT), torch.qint8)
    return _replaced(module, lambda layer: ByteLinear(layer) if type(layer) is nn.Linear else None)[0]


def halve(module: nn.Module) -> nn.Module:
    """Layers with weights of 16 bits, computed in 32 on a processor and in 16 on a GPU.

    Recurrent layers become those of torch's quantisation, which run on processors only.
    """
    replaced = sum(isinstance(each, _RECURRENT) for each in module.modules())
    if replaced:
        module = _dynamic(module, set(_RECURRENT), torch.float16)
    module, halved = _replaced(module, _half)
    if not replaced + halved:
        raise ExportError("the module has no linear, convolutional, recurrent or embedding layers to store in 16 bits")
    return module


def quantize_for_aotinductor(module: nn.Module) -> None:
    """Linear layers with weights and inputs of 8 bits, in place, by torchao, a scale for each row of the input."""
    try:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    except ModuleNotFoundError as error:
        raise ExportError(f"int8 for AOTInductor needs {error.name}: pip install '.[compress]'") from error
    # The advice to move to torchao, and torch's warnings about its own storages.
    with warnings.catch_warnings(action="ignore"):
        quantize_(module, Int8DynamicActivationInt8WeightConfig())


def _dynamic(module: nn.Module, layers: set[type[nn.Module]], dtype: torch.dtype) -> nn.Module:
    if torch.backends.quantized.engine == "none":
        raise ExportError(
            "this build of torch has no engine that computes with smaller weights (fbgemm, onednn, qnnpack)"
        )
    with warnings.catch_warnings(action="ignore"):
        quantized: nn.Module = quantize_dynamic(module, layers, dtype=dtype)  # type: ignore[no-untyped-call]
    return quantized


def _replaced(module: nn.Module, make: Callable[[nn.Module], nn.Module | None]) -> tuple[nn.Module, int]:
    """The module with other layers where `make` gives one, and how many these are."""
    count = 0
    for name, child in list(module.named_modules()):
        made = make(child)
        if made is None:
            continue
        count += 1
        if not name:
            return made, count
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, made)
    return module, count


class ByteLinear(nn.Module):
    """A linear layer whose weights and inputs have 8 bits, with a scale for each row of the input.

    torch has one scale for a whole batch, from its smallest to its largest number: a caller with large numbers would
    take the digits from all others. So each row is made to end at 1, and two more columns, whose weights are 0, hold
    -1 and 1: then the scale is always the same.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        wide = nn.Linear(layer.in_features + 2, layer.out_features, bias=False)
        with torch.no_grad():
            wide.weight.zero_()[:, : layer.in_features] = layer.weight
        self.wide: nn.Module = _dynamic(nn.Sequential(wide), {nn.Linear}, torch.qint8).get_submodule("0")
        bias: torch.Tensor | None = layer.bias
        bias = torch.zeros(layer.out_features) if bias is None else bias.detach().clone()
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out], as the layer itself; a row with a number that is undefined is undefined."""
        largest = x.abs().amax(-1, keepdim=True)
        largest = torch.where(largest == 0, torch.ones_like(largest), largest)
        rows = torch.nan_to_num(x / largest, 0.0, 0.0, 0.0)
        end = torch.ones_like(largest)
        out: torch.Tensor = self.wide(torch.cat([rows, -end, end], -1))
        return out * largest + self.bias


class HalfLinear(nn.Module):
    """A linear layer whose weights are float16."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = _halves(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out], as the layer itself."""
        if x.is_cuda:
            return nn.functional.linear(x.half(), self.weight, self.bias).to(x.dtype)
        return nn.functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class HalfConvolution(nn.Module):
    """A convolution of one, two or three dimensions whose weights are float16."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = _halves(layer)
        self.stride, self.dilation = list(layer.stride), list(layer.dilation)
        self.padding = [0] * len(layer.stride) if isinstance(layer.padding, str) else list(layer.padding)
        self.groups = layer.groups
        self.none = [0] * len(layer.stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the layer itself."""
        kind = x.dtype
        if x.is_cuda:
            x = x.half()
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        given = torch.convolution(
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            False,
            self.none,
            self.groups,
        )
        return given.to(kind)


class HalfEmbedding(nn.Module):
    """An embedding whose rows are float16."""

    def __init__(self, layer: nn.Embedding) -> None:
        super().__init__()
        self.weight = _stored(layer.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[...] -> [..., size] in float32."""
        return nn.functional.embedding(ids, self.weight).float()


def _halves(layer: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight and bias; a layer without one gets zeros, because TorchScript wants the same for all."""
    bias = layer.weight.new_zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
    return _stored(layer.weight), _stored(bias)


def _stored(weights: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(weights.detach().half(), requires_grad=False)


def _half(layer: nn.Module) -> nn.Module | None:
    """The layer with half of its bytes; None for what stays as it is."""
    match layer:
        case nn.Linear():
            return HalfLinear(layer)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d() if layer.padding_mode == "zeros" and _is_plain(layer.padding):
            return HalfConvolution(layer)
        case nn.Embedding() if layer.max_norm is None:
            return HalfEmbedding(layer)
    return None


def _is_plain(padding: Any) -> bool:
    return not isinstance(padding, str)
