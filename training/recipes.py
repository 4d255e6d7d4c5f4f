"""Find the recipe of a model by its name. Needs torch."""

from __future__ import annotations

import importlib

from training import MODELS
from training.recipe import Recipe


def find(name: str) -> Recipe:
    """Return the recipe named `name`. Raises KeyError if `MODELS` does not contain it."""
    module = importlib.import_module(f"training.{MODELS[name]}")
    return next(each for each in vars(module).values() if isinstance(each, Recipe) and each.name == name)
