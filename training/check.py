"""Does training again give the scores that the model card claims? Called by `python -m training MODEL --check`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from training import model_card
from training.fit import Say
from training.model_card import damaged_files, differences
from training.recipe import Recipe
from training.workflow import run


def check(recipe: Recipe, repository: Path, say: Say) -> list[str]:
    """Retrain into a temporary folder and return what differs from the committed card, empty when nothing does."""
    claimed = model_card.read(repository / recipe.name)
    with tempfile.TemporaryDirectory(prefix="triton-operator-training-") as folder:
        measured = run(recipe, Path(folder), say)
    if measured.files == claimed.files:
        say("check       the exported files are the same, byte for byte")
    return differences(claimed, measured) + damaged_files(claimed, repository / recipe.name)
