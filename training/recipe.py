"""What one model adds to the shared workflow, as data and three functions.

Each model's file makes one `Recipe`; `workflow.run` follows it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from training.dataset import Dataset
from training.scores import Metric
from triton_operator.triton.signature import Signature, Tensor

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(model, inputs, targets) -> mean loss of the batch."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""(inputs, random numbers) -> inputs of the same shape, slightly different each time."""


@dataclass(frozen=True)
class Plan:
    """How a model is trained; recorded in its card word for word.

    With `schedule` cosine the learning rate falls from its first value to zero over all epochs. Progress is reported
    every `report_every` epochs.
    """

    seed: int
    epochs: int
    batch_size: int
    optimizer: Literal["SGD", "Adam"]
    learning_rate: float
    schedule: Literal["constant", "cosine"] = "constant"
    report_every: int = 1


@dataclass(frozen=True)
class Recipe:
    """One model from its data to its place in the model repository.

    `name` is the folder there and the name clients use. `preprocess` loads and prepares the data, `build` makes the
    module with fresh weights (and takes no arguments, so that a saved model can be rebuilt from its weights),
    `loss` judges a batch in training; `metrics` judge the finished model. `inputs` and `outputs` are what clients send
    and get, which the export holds against the module.
    """

    name: str
    title: str
    architecture: str
    preprocess: Callable[[], Dataset]
    build: Callable[[], nn.Module]
    loss: Loss
    plan: Plan
    metrics: tuple[Metric, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch_size: int
    augment: Augment | None = None
    augmentation: str = "none"

    @property
    def signature(self) -> Signature:
        """What the exported model has to take and give."""
        return Signature(self.inputs, self.outputs, self.max_batch_size)
