"""The training loop of all models. `workflow` calls `fit`, which trains a new module in place."""

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

Log = Callable[[str], None]
"""Called with one line of progress."""

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}

_ROWS_AT_ONCE = 512
"""Batch size of evaluation, which limits the memory for activations."""


def fit(model: nn.Module, recipe: Recipe, dataset: Dataset, log: Log) -> History:
    """Train `model` in place and restore the weights with the lowest validation loss.

    The caller sets torch's random seed.
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
            log(f"epoch {epoch:>5}/{plan.epochs}  loss {history.train[-1]:.3g}  validation {loss:.3g}")
    model.load_state_dict(best_weights)
    return history


def predict(model: nn.Module, *arguments: NDArray[Any]) -> NDArray[Any]:
    """Return the model's output for each row of its `arguments`."""
    model.eval()
    with torch.inference_mode():
        return np.concatenate([model(*rows).numpy() for rows in _split(arguments)])


def validation_loss(model: nn.Module, loss: Loss, part: Part) -> float:
    """Return the mean loss over a whole part, without training on it."""
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
    """Iterate once over all rows in random order."""
    (first, *others), targets = [torch.from_numpy(each) for each in part.arguments], torch.from_numpy(part.targets)
    for rows in torch.split(torch.randperm(len(part), generator=generator), size):
        batch = augment(first[rows], generator) if augment else first[rows]
        yield [batch, *(each[rows] for each in others)], targets[rows]


def _split(arrays: tuple[NDArray[Any], ...]) -> Iterator[tuple[torch.Tensor, ...]]:
    """Split arrays of equal length into batches that fit into memory."""
    yield from zip(*(torch.split(torch.from_numpy(each), _ROWS_AT_ONCE) for each in arrays), strict=True)


def _rate(plan: Plan, epoch: int) -> float:
    """Return the factor of the learning rate in an epoch (counted from 0)."""
    if plan.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
