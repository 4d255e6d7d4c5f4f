"""What one model adds to the shared workflow, as data and a few functions.

Each model's file makes a `Recipe`; `workflow.run` follows it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import nn

from training.dataset import Dataset
from training.history import History
from training.scores import Metric
from triton_operator.triton.model_file.signature import Signature, TensorSpec

Arguments: TypeAlias = Sequence[torch.Tensor]
"""What forward() takes, in its order."""

Loss = Callable[[nn.Module, Arguments, torch.Tensor], torch.Tensor]
"""(model, arguments, targets) -> mean loss of the batch."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""(first argument, random numbers) -> a tensor of the same shape, slightly different each time."""

Fit = Callable[[nn.Module, "Recipe", Dataset, Callable[[str], None]], History]
"""Trains a module in place, as `training.fit.fit` does: (module, recipe, data, takes a line of progress)."""

Companions = Callable[[Path], Sequence[Path]]
"""(model repository) -> the files that were written into other folders of it, such as an ensemble's."""


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
    `loss` judges a batch in training; `metrics` judge the finished model, the first is its headline. `inputs` and
    `outputs` (one) are what clients send and get, which the export holds against the module. `classes` are the names of
    what a classifier tells apart, in Latin letters, of which plots have the glyphs; two for one probability.

    `trace` compiles by tracing what cannot be scripted. `companions` writes further folders of the repository after
    the model's own: a tokenizer, labels, the ensemble around them. `fit` trains in another way than
    all others. `served_tolerance` is the largest difference between a served answer and PyTorch's: float32 sums may be
    added in another order. `slow` models take more than 20 s of one core to train; CI holds their committed files
    against their cards instead of training them again.
    """

    name: str
    title: str
    architecture: str
    preprocess: Callable[[], Dataset]
    build: Callable[[], nn.Module]
    loss: Loss
    plan: Plan
    metrics: tuple[Metric, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_size: int
    classes: tuple[str, ...] = ()
    augment: Augment | None = None
    augmentation: str = "none"
    trace: bool = False
    companions: Companions | None = None
    fit: Fit | None = None
    served_tolerance: float = 1e-5
    slow: bool = False

    @property
    def signature(self) -> Signature:
        """What the exported model has to take and give."""
        return Signature(self.inputs, self.outputs, self.max_batch_size)
