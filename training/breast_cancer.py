"""Classify tumours as malignant or benign from ten measurements: logistic regression, and with a hidden layer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from training import breast_cancer_data
from training.losses import binary_cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, f1
from triton_operator.triton.model_file.signature import TensorSpec

_HIDDEN = 8


class TumourClassifier(nn.Module):
    """[batch, 10], measurements as they are -> [batch, 1], the probability that the tumour is malignant.

    The module contains the mean and standard deviation of each measurement, so that clients send raw values.
    """

    def __init__(self, mean: torch.Tensor, spread: torch.Tensor, hidden: int = 0) -> None:
        """Initialize random weights, with `hidden` neurons between the measurements and the output."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        between = (nn.Linear(len(mean), hidden), nn.ReLU()) if hidden else ()
        self.layers = nn.Sequential(*between, nn.Linear(hidden or len(mean), 1))

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        """Return a probability; in training the logarithm of the odds, which the loss needs."""
        # mypy sees modules where buffers are, and TorchScript refuses the annotations that would tell it better.
        logits = self.layers((measurements - self.mean) / self.spread)  # type: ignore[operator]
        if self.training:
            return logits  # type: ignore[no-any-return]
        return torch.sigmoid(logits)


def build(hidden: int = 0) -> TumourClassifier:
    """Create a module that standardizes measurements with the statistics of the training set."""
    measured = torch.from_numpy(breast_cancer_data.load().train.inputs)
    return TumourClassifier(measured.mean(dim=0), measured.std(dim=0), hidden)


LOGISTIC = Recipe(
    name="breast_cancer",
    title="Malignant or benign tumours by logistic regression",
    architecture="10, standardised -> dense 1, sigmoid",
    preprocess=breast_cancer_data.load,
    build=build,
    loss=binary_cross_entropy,
    # The plan with the lowest validation loss among 32 plans and sizes, for both models.
    plan=Plan(seed=1, epochs=60, batch_size=16, optimizer="Adam", learning_rate=0.01, report_every=10),
    metrics=(
        Metric("accuracy", accuracy, better="higher", required=0.95, tolerance=0.01),
        Metric("f1", f1, better="higher", required=0.9, tolerance=0.01),
    ),
    inputs=(TensorSpec("INPUT__0", "FP32", (breast_cancer_data.MEASUREMENTS,)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (1,)),),
    max_batch_size=64,
    classes=breast_cancer_data.CLASSES,
)

HIDDEN = replace(
    LOGISTIC,
    name="breast_cancer_hidden",
    title="Malignant or benign tumours by a network with a hidden layer",
    architecture=f"10, standardised -> dense {_HIDDEN}, ReLU -> dense 1, sigmoid",
    build=lambda: build(_HIDDEN),
)
