"""Every model that is made here is shown being deployed."""

from __future__ import annotations

from pathlib import Path

import yaml

from training import MODELS, REPOSITORY

EXAMPLES = REPOSITORY.parent / "examples"


def _models(file: Path) -> set[str]:
    return {model["name"] for model in yaml.safe_load(file.read_text())["spec"]["models"]}


VARIANTS = {"breast_cancer_hidden", "breast_cancer_federated", "digits_gru"}
"""Left out where all models are together: 16 are the most, steps of ensembles included."""


def test_one_example_deploys_all_models_in_one_pod() -> None:
    """And no folder of the repository is forgotten."""
    folders = {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")}
    assert set(MODELS) <= folders
    assert _models(EXAMPLES / "all-models.yaml") == folders - VARIANTS


def test_each_model_has_an_example_of_its_own() -> None:
    """Small enough to be copied."""
    shown = [_models(file) for file in EXAMPLES.glob("*.yaml") if file.stem != "all-models"]
    assert set(MODELS) <= set().union(*shown)
