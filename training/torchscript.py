"""Load TorchScript files, and rebuild the Python module of a file with its weights.

`verify` and the tests call it; `triton_operator.export` writes the files. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from triton_operator.export.exporter import load

__all__ = ["load", "load_eager"]


def load_eager(build: Callable[[], nn.Module], path: Path) -> nn.Module:
    """Build the Python module and load the weights of a TorchScript file into it.

    Its outputs are computed in eager mode, and are the reference for a served model.
    """
    model = build()
    weights = load(path).state_dict()
    # A traced file also contains non-persistent buffers, such as BERT's positions.
    for name in {name for name, _ in model.named_buffers()} - model.state_dict().keys():
        weights.pop(name, None)
    model.load_state_dict(weights)
    return model.eval()
