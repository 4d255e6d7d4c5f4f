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
from training.history import History
from training.recipe import Arguments, Augment, Loss, Plan, Recipe

Say = Callable[[str], None]
"""Takes one line of progress."""

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}

_ROWS_AT_ONCE = 512
"""A whole test part at once would need memory for every layer's answer to it."""


def fit(model: nn.Module, recipe: Recipe, dataset: Dataset, say: Say) -> History:
    """Train `model` in place; it ends with the weights that have the least loss on the validation part.

    The caller fixes the seeds of torch.
    """
    plan = recipe.plan
    optimizer = _OPTIMIZERS[plan.optimizer](model.parameters(), lr=plan.learning_rate)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _rate(plan, epoch))
    generator = torch.Generator().manual_seed(plan.seed)
    history, best_loss, best_weights = History(), math.inf, copy.deepcopy(model.state_dict())
    for epoch in range(1, plan.epochs + 1):
        losses = [
            _step(model, recipe.loss, optimizer, *batch)
            for batch in _batches(dataset.train, plan.batch_size, generator, recipe.augment)
        ]
        schedule.step()
        history.train.append(float(np.mean(losses)))
        history.validation.append(loss := validation_loss(model, recipe.loss, dataset.validation))
        if loss < best_loss:
            history.best_epoch, best_loss, best_weights = epoch, loss, copy.deepcopy(model.state_dict())
        if epoch % plan.report_every == 0 or epoch == plan.epochs:
            say(f"epoch {epoch:>5}/{plan.epochs}  loss {history.train[-1]:.3g}  validation {loss:.3g}")
    model.load_state_dict(best_weights)
    return history


def predict(model: nn.Module, *arguments: NDArray[Any]) -> NDArray[Any]:
    """Return the model's output for each row of its `arguments`."""
    model.eval()
    with torch.inference_mode():
        return np.concatenate([model(*rows).numpy() for rows in _split(arguments)])


def validation_loss(model: nn.Module, loss: Loss, part: Part) -> float:
    """Return the mean loss over a whole part, without learning from it."""
    model.eval()
    with torch.inference_mode():
        batches = _split((*part.arguments, part.targets))
        losses = [loss(model, rows, targets).item() * len(targets) for *rows, targets in batches]
    return sum(losses) / len(part)


def _step(
    model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, arguments: Arguments, targets: torch.Tensor
) -> float:
    model.train()
    optimizer.zero_grad()
    value = loss(model, arguments, targets)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value.item()


def _batches(
    part: Part, size: int, generator: torch.Generator, augment: Augment | None
) -> Iterator[tuple[Arguments, torch.Tensor]]:
    """Go once through all rows in a random order."""
    (first, *others), targets = [torch.from_numpy(each) for each in part.arguments], torch.from_numpy(part.targets)
    for rows in torch.split(torch.randperm(len(part), generator=generator), size):
        batch = augment(first[rows], generator) if augment else first[rows]
        yield [batch, *(each[rows] for each in others)], targets[rows]


def _split(arrays: tuple[NDArray[Any], ...]) -> Iterator[tuple[torch.Tensor, ...]]:
    """Cut arrays of equal length into rows that fit the memory."""
    yield from zip(*(torch.split(torch.from_numpy(each), _ROWS_AT_ONCE) for each in arrays), strict=True)


def _rate(plan: Plan, epoch: int) -> float:
    """Return the share of the learning rate that holds in an epoch (counted from 0)."""
    if plan.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
