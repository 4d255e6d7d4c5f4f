"""The task of a federated training: a recipe, and public facts about its features. Every process reads it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.federated.settings import Settings
from training.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """A recipe for federated training, and the recipe for central training of the same model.

    The module must have the buffers `mean` and `spread`. `ranges` has the published [lower, upper] bounds of each
    feature, which are public. They bound the statistics, and replace them if none may be shared.
    """

    recipe: Recipe
    central: Recipe
    ranges: NDArray[np.float64]


def task_of(agreed: Settings) -> Task:
    """Return RECIPE, CENTRAL and RANGES of the module that the settings name."""
    module = importlib.import_module(f"training.{agreed.recipe}")
    return Task(module.RECIPE, module.CENTRAL, np.array(module.RANGES, dtype=np.float64))
