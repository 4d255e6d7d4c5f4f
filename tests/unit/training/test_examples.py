"""The examples deploy every model of this project."""

from __future__ import annotations

from pathlib import Path

import yaml

from training import MODELS, REPOSITORY

EXAMPLES = REPOSITORY.parent / "examples"


def _models(file: Path) -> set[str]:
    return {model["name"] for model in yaml.safe_load(file.read_text())["spec"]["models"]}


VARIANTS = {"breast_cancer_hidden", "breast_cancer_federated", "digits_gru"}
"""Models that all-models.yaml omits, because a deployment has at most 16, including the steps of ensembles."""


def test_one_example_deploys_all_models_in_one_pod() -> None:
    """It includes every other folder of the repository."""
    folders = {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")}
    assert set(MODELS) <= folders
    assert _models(EXAMPLES / "all-models.yaml") == folders - VARIANTS


def test_each_model_has_an_example_of_its_own() -> None:
    """Short enough to copy."""
    shown = [_models(file) for file in EXAMPLES.glob("*.yaml") if file.stem != "all-models"]
    assert set(MODELS) <= set().union(*shown)
