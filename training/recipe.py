"""The `Recipe` of a model: the parts of the workflow that are specific to it, as data and functions.

The module of each model defines a `Recipe`, and `workflow.run` executes it. Needs torch.
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
"""The arguments of forward(), in order."""

Loss = Callable[[nn.Module, Arguments, torch.Tensor], torch.Tensor]
"""(model, arguments, targets) -> mean loss of the batch."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""(first argument, random generator) -> a randomly transformed tensor of the same shape."""

Fit = Callable[[nn.Module, "Recipe", Dataset, Callable[[str], None]], History]
"""Trains a module in place, like `training.fit.fit`: (module, recipe, data, progress callback) -> history."""

Companions = Callable[[Path], Sequence[Path]]
"""(model repository) -> the files that it wrote into other folders, for example those of an ensemble."""


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of the training, which are recorded in the model card.

    With `schedule` cosine, the learning rate decays to zero over all epochs. Progress is reported every
    `report_every` epochs.
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
    """The definition of one model, from its data to the model repository.

    `name` is the name of the folder and of the served model. `preprocess` loads and prepares the data. `build` creates
    the module with random weights; it has no parameters, so that a saved model can be rebuilt from its weights. `loss`
    is the training loss. `metrics` evaluate the trained model; the first is the main one. `inputs` and `outputs`
    (exactly one) declare the served tensors, which the export checks against the module. `classes` are the names of a
    classifier's classes, in Latin letters because the plots' font has only these; one probability has two classes.

    `trace` exports by tracing instead of scripting. `companions` writes further folders of the repository: a
    tokenizer, labels, and the ensemble around them. `fit` replaces the default training loop. `served_tolerance` is the
    largest allowed difference between a served output and PyTorch's, because the order of float32 additions may differ.
    `slow` models take more than 20 s on one core to train; for these, CI evaluates the committed files instead of
    retraining.
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
        """The inputs and outputs that the exported model must have."""
        return Signature(self.inputs, self.outputs, self.max_batch_size)
