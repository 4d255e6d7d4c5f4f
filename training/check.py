"""Does training again give the scores that the model card claims? Called by `python -m training MODEL --check`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from training import model_card
from training.fit import Say
from training.model_card import ModelCard
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


def differences(claimed: ModelCard, measured: ModelCard) -> list[str]:
    """Compare the scores of two cards; one sentence for each that differs by more than its tolerance."""
    return [
        f"{part} {name}: the model card says {value:.6g}, retraining gave {measured.scores[part][name]:.6g} "
        f"(tolerance {claimed.tolerances[name]:g})"
        for part, scores in claimed.scores.items()
        for name, value in scores.items()
        if abs(measured.scores[part][name] - value) > claimed.tolerances[name]
    ]


def damaged_files(card: ModelCard, folder: Path) -> list[str]:
    """Compare the files of a model with the sums in its card; one sentence for each that is missing or different."""
    return [
        f"{folder / name}: not the file that the model card describes (SHA-256 {expected[:12]}…)"
        for name, expected in card.files.items()
        if not (folder / name).is_file() or model_card.sha256(folder / name) != expected
    ]
