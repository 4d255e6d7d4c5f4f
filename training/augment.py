"""Data augmentation: transformations of training examples that keep the label. Recipes use them. Needs torch."""

from __future__ import annotations

import torch
from torch import nn


def shift(images: torch.Tensor, generator: torch.Generator, pixels: int = 2) -> torch.Tensor:
    """Shift each image [batch, ..., n, n] by up to `pixels` in each direction; the edges are filled with paper (0).

    Handwritten digits are not always centred.
    """
    side = images.shape[-1]
    padded = nn.functional.pad(images, [pixels] * 4)
    corners = torch.randint(0, 2 * pixels + 1, (len(images), 2), generator=generator).tolist()
    moved = [each[..., top : top + side, left : left + side] for each, (top, left) in zip(padded, corners, strict=True)]
    return torch.stack(moved)
