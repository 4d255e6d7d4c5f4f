"""The training loop of all models: `workflow` calls `fit` with a fresh module and gets it back trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.dataset import Dataset, Part
from training.recipe import Augment, Loss, Plan, Recipe

Say = Callable[[str], None]
"""Takes one line of progress."""

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}


def fit(model: nn.Module, recipe: Recipe, dataset: Dataset, say: Say) -> int:
    """Train `model` in place and return the epoch whose weights it ends with.

    Those are the weights with the least loss on the validation part. The caller fixes the seeds of torch.
    """
    plan = recipe.plan
    optimizer = _OPTIMIZERS[plan.optimizer](model.parameters(), lr=plan.learning_rate)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _rate(plan, epoch))
    generator = torch.Generator().manual_seed(plan.seed)
    best_epoch, best_loss, best_weights = 0, math.inf, copy.deepcopy(model.state_dict())
    for epoch in range(1, plan.epochs + 1):
        losses = [
            _step(model, recipe.loss, optimizer, *batch)
            for batch in _batches(dataset.train, plan.batch_size, generator, recipe.augment)
        ]
        schedule.step()
        loss = validation_loss(model, recipe.loss, dataset.validation)
        if loss < best_loss:
            best_epoch, best_loss, best_weights = epoch, loss, copy.deepcopy(model.state_dict())
        if epoch % plan.report_every == 0 or epoch == plan.epochs:
            say(f"epoch {epoch:>5}/{plan.epochs}  loss {np.mean(losses):.3g}  validation {loss:.3g}")
    model.load_state_dict(best_weights)
    return best_epoch


def predict(model: nn.Module, inputs: NDArray[np.float32]) -> NDArray[Any]:
    """Return the model's output for each row of `inputs`."""
    model.eval()
    with torch.inference_mode():
        outputs: NDArray[Any] = model(torch.from_numpy(inputs)).numpy()
    return outputs


def validation_loss(model: nn.Module, loss: Loss, part: Part) -> float:
    """Return the mean loss over a whole part, without learning from it."""
    model.eval()
    with torch.inference_mode():
        return loss(model, torch.from_numpy(part.inputs), torch.from_numpy(part.targets)).item()


def _step(
    model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, targets: torch.Tensor
) -> float:
    model.train()
    optimizer.zero_grad()
    value = loss(model, inputs, targets)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value.item()


def _batches(
    part: Part, size: int, generator: torch.Generator, augment: Augment | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Go once through all rows in a random order."""
    inputs, targets = torch.from_numpy(part.inputs), torch.from_numpy(part.targets)
    for rows in torch.split(torch.randperm(len(part), generator=generator), size):
        batch = inputs[rows]
        yield (augment(batch, generator) if augment else batch), targets[rows]


def _rate(plan: Plan, epoch: int) -> float:
    """Return the share of the learning rate that holds in an epoch (counted from 0)."""
    if plan.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
