"""Store the weights of a module in fewer bits.

Input: a module. Output: a module with replaced layers. `compression` calls it. Requires torch, and torchao for
AOTInductor.
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
    """Quantize the weights of linear and recurrent layers to 8 bits, and their inputs dynamically.

    Each input row of a linear layer has its own scale. A recurrent layer has one scale for the whole batch, so a row
    slightly depends on the other rows. torch deprecates this method in favor of torchao, whose tensors TorchScript does
    not support.
    """
    if not any(isinstance(each, (nn.Linear, *_RECURRENT)) for each in module.modules()):
        raise ExportError(
            "the module has no linear or recurrent layers, and only their weights can be stored in 8 bits"
        )
    module = _dynamic(module, set(_RECURRENT), torch.qint8)
    return _replaced(module, lambda layer: ByteLinear(layer) if type(layer) is nn.Linear else None)[0]


def halve(module: nn.Module) -> nn.Module:
    """Store weights in 16 bits; compute in 32 bits on CPUs and in 16 bits on GPUs.

    Recurrent layers are replaced with quantized layers of torch, which run on CPUs only.
    """
    replaced = sum(isinstance(each, _RECURRENT) for each in module.modules())
    if replaced:
        module = _dynamic(module, set(_RECURRENT), torch.float16)
    module, halved = _replaced(module, _half)
    if not replaced + halved:
        raise ExportError("the module has no linear, convolutional, recurrent or embedding layers to store in 16 bits")
    return module


def quantize_for_aotinductor(module: nn.Module) -> None:
    """Quantize linear layers in place with torchao: 8-bit weights and inputs, with one scale per input row."""
    try:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    except ModuleNotFoundError as error:
        raise ExportError(f"int8 for AOTInductor needs {error.name}: pip install '.[compress]'") from error
    # Hide warnings of torchao and torch about their own internals.
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
    """Replace each layer for which `make` returns a layer; return the module and the number of replacements."""
    count = 0
    for name, child in list(module.named_modules()):
        replacement = make(child)
        if replacement is None:
            continue
        count += 1
        if not name:
            return replacement, count
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, replacement)
    return module, count


class ByteLinear(nn.Module):
    """A linear layer with 8-bit weights and inputs, and one scale per input row.

    torch has one scale for the whole batch, from its smallest to its largest number, so a row with large numbers would
    reduce the precision of all others. To avoid this, each row is divided by its largest absolute value, and two
    columns with the values -1 and 1 and zero weights are added, which keeps the scale constant.
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
        """[..., in] -> [..., out], like the original layer; a row with an undefined number is undefined."""
        largest = x.abs().amax(-1, keepdim=True)
        largest = torch.where(largest == 0, torch.ones_like(largest), largest)
        rows = torch.nan_to_num(x / largest, 0.0, 0.0, 0.0)
        end = torch.ones_like(largest)
        out: torch.Tensor = self.wide(torch.cat([rows, -end, end], -1))
        return out * largest + self.bias


class HalfLinear(nn.Module):
    """A linear layer with float16 weights."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = _halves(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out], like the original layer."""
        if x.is_cuda:
            return nn.functional.linear(x.half(), self.weight, self.bias).to(x.dtype)
        return nn.functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class HalfConvolution(nn.Module):
    """A convolution in one, two or three dimensions with float16 weights."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = _halves(layer)
        self.stride, self.dilation = list(layer.stride), list(layer.dilation)
        self.padding = [0] * len(layer.stride) if isinstance(layer.padding, str) else list(layer.padding)
        self.groups = layer.groups
        self.none = [0] * len(layer.stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the convolution, like the original layer."""
        kind = x.dtype
        if x.is_cuda:
            x = x.half()
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        out = torch.convolution(
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
        return out.to(kind)


class HalfEmbedding(nn.Module):
    """An embedding with float16 weights."""

    def __init__(self, layer: nn.Embedding) -> None:
        super().__init__()
        self.weight = _stored(layer.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[...] -> [..., size] in float32."""
        return nn.functional.embedding(ids, self.weight).float()


def _halves(layer: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) -> tuple[nn.Parameter, nn.Parameter]:
    """Return the weight and the bias; a missing bias is zeros, because TorchScript needs one type for all layers."""
    bias = layer.weight.new_zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
    return _stored(layer.weight), _stored(bias)


def _stored(weights: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(weights.detach().half(), requires_grad=False)


def _half(layer: nn.Module) -> nn.Module | None:
    """Return the layer with float16 weights, or None for layers to keep."""
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
