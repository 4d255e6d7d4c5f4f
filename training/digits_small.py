"""Networks with one convolution that read handwritten digits: the smallest, and one with a dense layer more."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from training import digits_data
from training.augment import shift
from training.losses import cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, macro_f1
from triton_operator.triton.signature import Tensor


class SmallDigitsNetwork(nn.Module):
    """[batch, 1, 28, 28], 0 paper to 1 ink -> [batch, 10], the probability of each digit."""

    def __init__(self, hidden: int = 0) -> None:
        """Start with random weights and `hidden` neurons between picture and answer; 28 pixels become 26 and 13."""
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


SMALL = Recipe(
    name="digits_small",
    title="Handwritten digits by a small network with one convolution",
    architecture="28x28 -> conv 32 3x3, ReLU, max-pool 2 -> dense 10, softmax",
    preprocess=digits_data.load,
    build=SmallDigitsNetwork,
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=20, batch_size=32, optimizer="Adam", learning_rate=0.002, schedule="cosine"),
    metrics=(
        Metric("accuracy", accuracy, better="higher", required=0.97, tolerance=0.01),
        Metric("f1", macro_f1, better="higher", required=0.97, tolerance=0.01),
    ),
    inputs=(Tensor("INPUT__0", "FP32", (1, digits_data.SIDE, digits_data.SIDE)),),
    outputs=(Tensor("OUTPUT__0", "FP32", (10,)),),
    max_batch_size=64,
    classes=digits_data.CLASSES,
    augment=shift,
    augmentation="each picture moved by up to 2 pixels",
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
