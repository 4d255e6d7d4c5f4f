"""Load TorchScript files, and the module that one came from with its weights.

`verify` and the tests call it; `triton_operator.export` writes the files. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from triton_operator.export.exporter import load

__all__ = ["load", "load_eager"]


def load_eager(build: Callable[[], nn.Module], path: Path) -> nn.Module:
    """Rebuild the ordinary Python module and give it the weights of a TorchScript file.

    Its answers come from PyTorch without TorchScript: what a served model is compared with.
    """
    model = build()
    weights = load(path).state_dict()
    # A traced file also has the buffers that the module creates each time, such as BERT's positions.
    for name in {name for name, _ in model.named_buffers()} - model.state_dict().keys():
        weights.pop(name, None)
    model.load_state_dict(weights)
    return model.eval()
