"""Retrain a model and compare it with its model card. Called by `python -m training MODEL --check`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from training import model_card
from training.fit import Log
from training.model_card import ModelCard, damaged_files, differences
from training.recipe import Recipe
from training.recipes import find
from training.torchscript import load
from training.workflow import model_file, run, score


def check(recipe: Recipe, repository: Path, log: Log) -> list[str]:
    """Retrain into a temporary folder and return the differences from the committed card."""
    return retrain(recipe, repository, log)[1]


def retrain(recipe: Recipe, repository: Path, log: Log) -> tuple[ModelCard, list[str]]:
    """Retrain into a temporary folder; return the new card and its differences from the committed one.

    Raises ModelCardError if there is no card to compare with, and NotGoodEnoughError.
    """
    claimed = model_card.read(repository / recipe.name)
    with tempfile.TemporaryDirectory(prefix="triton-operator-training-") as folder:
        measured = run(recipe, Path(folder), log)
    if measured.files == claimed.files:
        log("check       the exported files are identical")
    return measured, differences(claimed, measured.scores) + damaged_files(claimed, repository / recipe.name)


def measure(name: str, repository: Path) -> list[str]:
    """Compare the scores and checksums of a committed model with its card, without training."""
    recipe = find(name)
    claimed = model_card.read(repository / name)
    model, dataset = load(model_file(repository, name)), recipe.preprocess()
    scores = {"validation": score(recipe, model, dataset.validation), "test": score(recipe, model, dataset.test)}
    return differences(claimed, scores, "its file scores") + damaged_files(claimed, repository / name)
