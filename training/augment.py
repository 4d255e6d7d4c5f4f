"""Small changes to training examples that a person would not call changes. Recipes choose from these. Needs torch."""

from __future__ import annotations

import torch
from torch import nn


def shift(images: torch.Tensor, generator: torch.Generator, pixels: int = 2) -> torch.Tensor:
    """Move each picture [batch, ..., n, n] by up to `pixels` each way; paper (0) comes in at the edges.

    People do not write in the middle.
    """
    side = images.shape[-1]
    padded = nn.functional.pad(images, [pixels] * 4)
    corners = torch.randint(0, 2 * pixels + 1, (len(images), 2), generator=generator).tolist()
    moved = [each[..., top : top + side, left : left + side] for each, (top, left) in zip(padded, corners, strict=True)]
    return torch.stack(moved)
