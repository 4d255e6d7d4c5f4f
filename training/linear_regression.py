"""Linear regression with two inputs.

The four training rows and the two test rows are on the same line, so a correct model extrapolates to 5 and 6.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from training.dataset import Dataset, Part
from training.losses import squared_error
from training.recipe import Plan, Recipe
from training.scores import Metric, mean_squared_error, r_squared
from triton_operator.triton.model_file.signature import TensorSpec


class LinearRegression(nn.Module):
    """[batch, 2] -> [batch, 1]."""

    def __init__(self) -> None:
        """Initialize random weights."""
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Weigh the two numbers and add a constant."""
        return self.linear(inputs)  # type: ignore[no-any-return]


def preprocess() -> Dataset:
    """Return the rows; the four training rows are also the validation set, because they are too few to split."""
    train = _part([[1, 2], [3, 4], [5, 6], [7, 8]], [1, 2, 3, 4])
    return Dataset(
        name="Six points of a line",
        source="written in training/linear_regression.py",
        licence="Apache-2.0",
        train=train,
        validation=train,
        test=_part([[9, 10], [11, 12]], [5, 6]),
        remarks="Validation uses the four training rows; the two test rows lie outside their range.",
    )


def _part(inputs: list[list[int]], targets: list[int]) -> Part:
    return Part(np.array(inputs, dtype=np.float32), np.array(targets, dtype=np.float32)[:, None])


RECIPE = Recipe(
    name="linear_regression",
    title="Linear regression of two inputs",
    architecture="dense 2 -> 1",
    preprocess=preprocess,
    build=LinearRegression,
    loss=squared_error,
    # The largest curvature of this loss is 104, so training diverges above a learning rate of 2 / 104 = 0.019.
    plan=Plan(seed=1, epochs=1500, batch_size=4, optimizer="SGD", learning_rate=0.015, report_every=100),
    metrics=(
        Metric("mse", mean_squared_error, better="lower", required=1e-4, tolerance=1e-4),
        Metric("r2", r_squared, better="higher", required=0.999, tolerance=1e-3),
    ),
    inputs=(TensorSpec("INPUT__0", "FP32", (2,)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (1,)),),
    max_batch_size=64,
)
