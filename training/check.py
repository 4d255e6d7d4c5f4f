"""Does training again give the scores that the model card claims? `python -m training MODEL --check` calls it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from training import model_card
from training.fit import Say
from training.model_card import ModelCard, damaged_files, differences
from training.recipe import Recipe
from training.recipes import find
from training.torchscript import load
from training.workflow import model_file, run, score


def check(recipe: Recipe, repository: Path, say: Say) -> list[str]:
    """Retrain into a temporary folder and return what differs from the committed card, empty when nothing does."""
    return retrain(recipe, repository, say)[1]


def retrain(recipe: Recipe, repository: Path, say: Say) -> tuple[ModelCard, list[str]]:
    """Retrain into a temporary folder; return the new card and what differs from the committed one.

    Raises ModelCardError when there is no card to compare with, and NotGoodEnoughError.
    """
    claimed = model_card.read(repository / recipe.name)
    with tempfile.TemporaryDirectory(prefix="triton-operator-training-") as folder:
        measured = run(recipe, Path(folder), say)
    if measured.files == claimed.files:
        say("check       the exported files are the same, byte for byte")
    return measured, differences(claimed, measured.scores) + damaged_files(claimed, repository / recipe.name)


def measure(name: str, repository: Path) -> list[str]:
    """Hold a committed file against its card without training: its scores on both parts, and its bytes."""
    recipe = find(name)
    claimed = model_card.read(repository / name)
    model, dataset = load(model_file(repository, name)), recipe.preprocess()
    scores = {"validation": score(recipe, model, dataset.validation), "test": score(recipe, model, dataset.test)}
    return differences(claimed, scores, "its file scores") + damaged_files(claimed, repository / name)
