"""What is learned together: a recipe, and what everybody may know about its features. Read by every process."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.federated.settings import Settings
from training.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """A recipe, and the one that trains the same model in one place.

    The module has the buffers `mean` and `spread`; `ranges` has the published [lower, upper] of each feature. They are
    no party's secret: they bound what is sent, and stand in for statistics where none may be shared.
    """

    recipe: Recipe
    central: Recipe
    ranges: NDArray[np.float64]


def task_of(agreed: Settings) -> Task:
    """Import RECIPE, CENTRAL and RANGES of the module that the settings name."""
    module = importlib.import_module(f"training.{agreed.recipe}")
    return Task(module.RECIPE, module.CENTRAL, np.array(module.RANGES, dtype=np.float64))
