"""What one party does with its own rows: statistics of them, and steps of training on them.

Input: the shared weights. Output: the party's own. Called by `party`; `run` calls `statistics` for comparison. Each
returns plain arrays, the only thing besides counts that is ever sent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.dataset import Dataset, Part
from training.federated.settings import Settings
from training.fit import fit
from training.recipe import Recipe
from training.reproducible import reproducible

Arrays = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each feature: the model's buffers `mean` and `spread`."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def statistics(inputs: NDArray[np.float32], bounds: NDArray[np.float64]) -> Arrays:
    """Return the mean of each feature and of its square, in units of `bounds`: all that standardising needs.

    Averaged over parties by their number of rows they give the statistics of all rows together.
    """
    values = inputs.astype(np.float64) / bounds
    return [values.mean(axis=0), np.square(values).mean(axis=0)]


def scaling(means: Arrays, bounds: NDArray[np.float64]) -> Scaling:
    """Make the scaling of what `statistics` returned, averaged or of one party."""
    mean, square = means
    return Scaling(mean * bounds, np.sqrt(np.maximum(square - np.square(mean), 1e-9)) * bounds)


def weights(model: nn.Module) -> Arrays:
    """Return what is learned, without buffers, in the order of the module."""
    return [each.detach().numpy().astype(np.float64) for each in model.parameters()]


def load(model: nn.Module, arrays: Arrays, scale: Scaling) -> None:
    """Put weights and scaling into a module."""
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
        for name, values in (("mean", scale.mean), ("spread", scale.spread)):
            model.get_buffer(name).copy_(torch.from_numpy(values))


def learn(recipe: Recipe, part: Part, arrays: Arrays, scale: Scaling, settings: Settings, seed: int) -> Arrays:
    """Train from the given weights on a party's rows and return the weights it ends with."""
    plan = replace(
        recipe.plan,
        seed=seed,
        epochs=settings.local_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        report_every=settings.local_epochs,
    )
    own = Dataset(name="", source="", licence="", train=part, validation=part, test=part)
    with reproducible(seed):
        model = recipe.build()
        load(model, arrays, scale)
        fit(model, replace(recipe, plan=plan), own, lambda _: None)
    return weights(model)


def seed_for(settings: Settings, party: str, round_number: int) -> int:
    """Return a party's own random seed for a round: the same in every run, different for everybody."""
    text = f"{settings.seed} {party} {round_number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
