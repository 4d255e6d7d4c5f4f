"""Networks with one convolution that read handwritten digits: the smallest, and one with another dense layer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from training import digits


class SmallDigitsNetwork(nn.Module):
    """[batch, 1, 28, 28], 0 paper to 1 ink -> [batch, 10], the probability of each digit."""

    def __init__(self, hidden: int = 0) -> None:
        """Initialize random weights, with `hidden` neurons before the output; the side shrinks from 28 to 26 and 13."""
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 32, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        pixels = 32 * 13 * 13
        between = (nn.Linear(pixels, hidden), nn.ReLU()) if hidden else ()
        self.classifier = nn.Sequential(*between, nn.Linear(hidden or pixels, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities; in training the logarithms of the odds, which the loss needs."""
        logits = self.classifier(self.features(images))
        if self.training:
            return logits  # type: ignore[no-any-return]
        return torch.softmax(logits, dim=1)


SMALL = replace(
    digits.RECIPE,  # The same data, loss and metrics.
    name="digits_small",
    title="Handwritten digits by a small network with one convolution",
    architecture="28x28 -> conv 32 3x3, ReLU, max-pool 2 -> dense 10, softmax",
    build=SmallDigitsNetwork,
    plan=replace(digits.RECIPE.plan, epochs=20, learning_rate=0.002),
    slow=False,
)

DENSE = replace(
    SMALL,
    name="digits_dense",
    title="Handwritten digits by a network with one convolution and a dense layer",
    architecture="28x28 -> conv 32 3x3, ReLU, max-pool 2 -> dense 128, ReLU -> dense 10, softmax",
    build=lambda: SmallDigitsNetwork(hidden=128),
    plan=replace(SMALL.plan, epochs=30, learning_rate=0.001),
    slow=True,
)
