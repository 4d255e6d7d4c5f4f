"""Write `tests/models/echo`: a model that gives back the texts and truth values it is sent.

    python -m tests.models.make_echo [DIR]

End-to-end tests deploy it to see that STRING and BOOL tensors survive the way through Triton. Its files are committed;
this says how they came to be, and a test that they still do. DIR is the folder to write to (default: where it lies).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from training import pbtxt, torchscript
from training.model_config import Tensor, pytorch_config


class Echo(nn.Module):
    """Any number of texts and any number of truth values -> the same."""

    def forward(self, texts: list[str], flags: torch.Tensor) -> tuple[list[str], torch.Tensor]:
        """Return the arguments."""
        return texts, flags


def make(folder: Path) -> None:
    """Write the model and its config.pbtxt. Texts must be one-dimensional, so there is no batch dimension."""
    torchscript.save(Echo(), folder / "1" / "model.pt")
    config = pytorch_config(
        "echo",
        inputs=[Tensor("INPUT__0", "STRING", (-1,)), Tensor("INPUT__1", "BOOL", (-1,))],
        outputs=[Tensor("OUTPUT__0", "STRING", (-1,)), Tensor("OUTPUT__1", "BOOL", (-1,))],
        max_batch_size=0,
    )
    (folder / "config.pbtxt").write_text(pbtxt.to_text(config), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "echo")
