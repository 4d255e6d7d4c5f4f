"""A convolutional network with two convolutions that reads handwritten digits."""

from __future__ import annotations

import torch
from torch import nn

from training import digits_data
from training.augment import shift
from training.losses import cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, macro_f1
from triton_operator.triton.model_file.signature import TensorSpec


class DigitsNetwork(nn.Module):
    """[batch, 1, 28, 28], 0 paper to 1 ink -> [batch, 10], the probability of each digit."""

    def __init__(self) -> None:
        """Initialize random weights; the side shrinks from 28 pixels to 26, 13, 11 and 5."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(nn.Linear(64 * 5 * 5, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities; in training the logarithms of the odds, which the loss needs."""
        logits = self.classifier(self.features(images))
        if self.training:
            return logits  # type: ignore[no-any-return]
        return torch.softmax(logits, dim=1)


RECIPE = Recipe(
    name="digits",
    title="Handwritten digits by a network with two convolutions",
    architecture="28x28 -> conv 32 3x3, ReLU, max-pool 2 -> conv 64 3x3, ReLU, max-pool 2 -> dense 128, ReLU -> "
    "dense 10, softmax",
    preprocess=digits_data.load,
    build=DigitsNetwork,
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=30, batch_size=32, optimizer="Adam", learning_rate=0.001, schedule="cosine"),
    metrics=(
        Metric("accuracy", accuracy, better="higher", required=0.97, tolerance=0.01),
        Metric("f1", macro_f1, better="higher", required=0.97, tolerance=0.01),
    ),
    inputs=(TensorSpec("INPUT__0", "FP32", (1, digits_data.SIDE, digits_data.SIDE)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (10,)),),
    max_batch_size=64,
    classes=digits_data.CLASSES,
    augment=shift,
    augmentation="each picture moved by up to 2 pixels",
    slow=True,
)
