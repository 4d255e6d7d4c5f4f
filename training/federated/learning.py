"""The computations of one party on its own rows: statistics and local training.

Input: the shared weights. Output: the updated weights, or statistics, as plain arrays. Apart from counts, only these
arrays are sent. Called by `party` and `comparison`.
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
    """Return the mean of each feature and of its square, in units of `bounds`.

    Their average over the parties, weighted by the number of rows, gives the statistics of all rows.
    """
    values = inputs.astype(np.float64) / bounds
    return [values.mean(axis=0), np.square(values).mean(axis=0)]


def scaling(means: Arrays, bounds: NDArray[np.float64]) -> Scaling:
    """Return the scaling for the output of `statistics`, either averaged or of one party."""
    mean, square = means
    return Scaling(mean * bounds, np.sqrt(np.maximum(square - np.square(mean), 1e-9)) * bounds)


def weights(model: nn.Module) -> Arrays:
    """Return the parameters, without buffers, in the order of the module."""
    return [each.detach().numpy().astype(np.float64) for each in model.parameters()]


def load(model: nn.Module, arrays: Arrays, scale: Scaling) -> None:
    """Load weights and scaling into a module."""
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
        for name, values in (("mean", scale.mean), ("spread", scale.spread)):
            model.get_buffer(name).copy_(torch.from_numpy(values))


def learn(recipe: Recipe, part: Part, arrays: Arrays, scale: Scaling, settings: Settings, seed: int) -> Arrays:
    """Train from the given weights on the rows of a party, and return the new weights."""
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
    """Return the random seed of a party for a round: the same in every run, different for each party."""
    text = f"{settings.seed} {party} {round_number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
