"""Write `tests/models/echo`: a model that gives back the texts and truth values it is sent.

    python -m tests.models.make_echo [DIR]

End-to-end tests deploy it to see that STRING and BOOL tensors survive the way through Triton. Its files are committed;
this says how they came to be, and a test that they still do. DIR is the repository to write to (default: the one it is
in).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from triton_operator.export import export_torchscript
from triton_operator.export.config import write_config


class Echo(nn.Module):
    """Any number of texts and any number of booleans -> the same."""

    def forward(self, texts: list[str], flags: torch.Tensor) -> tuple[list[str], torch.Tensor]:
        """Return the arguments."""
        return texts, flags


def make(repository: Path) -> None:
    """Write the model and its config.pbtxt. Texts must be one-dimensional, so there is no batch dimension."""
    examples = [(["text"] * count, torch.tensor([True] * count)) for count in (1, 2)]
    exported = export_torchscript(Echo(), examples[0], repository, name="echo", other_examples=examples[1:])
    write_config("echo", exported.signature, repository / "echo")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
