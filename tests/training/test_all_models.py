"""Retraining all models: one process per model, and a table with the differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training import REPOSITORY, model_card
from training.__main__ import main
from training.all_models import Outcome, table, train_all

pytestmark = pytest.mark.training

_NAMES = ("linear_regression", "breast_cancer")


@pytest.mark.timeout(600)  # Two processes that import torch, while other tests run.
def test_training_all_models_gives_the_same_files_as_training_each_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte, in any process; the first one has no card to compare with."""
    outcomes = train_all(_NAMES, tmp_path, keep=True)
    assert [(each.model, each.verdict) for each in outcomes] == [(name, "new") for name in _NAMES]
    lines = capfd.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == set(_NAMES)
    for name in _NAMES:
        made, committed = (model_card.read(folder / name) for folder in (tmp_path, REPOSITORY))
        assert made.scores["test"] == pytest.approx(committed.scores["test"], abs=0.01)
        assert model_card.damaged_files(made, tmp_path / name) == []
    again = train_all(_NAMES, tmp_path, keep=False)
    assert [each.verdict for each in again] == ["yes", "yes"]
    assert [each.made and each.made.files for each in again] == [each.made and each.made.files for each in outcomes]


@pytest.mark.timeout(600)
def test_a_score_that_retraining_does_not_reach_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, NO in its row of the table, and a message with both numbers."""
    card = model_card.read(REPOSITORY / "linear_regression")
    (tmp_path / "linear_regression").mkdir()
    model_card.write(replace(card, scores={"test": {"mse": 0.5}}, files={}), tmp_path / "linear_regression")
    monkeypatch.setattr("training.__main__.MODELS", {"linear_regression": "linear_regression"})
    assert main(["all", "--check", "--output", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    (row,) = [line for line in out.splitlines() if line.startswith("linear_regression") and "mse 0.5" in line]
    assert "  NO  " in row
    assert "error: linear_regression: test mse: the model card states 0.5, retraining gave" in err


def test_the_table_distinguishes_equal_scores_from_close_ones() -> None:
    """Both pass, but only one is equal."""
    card = model_card.read(REPOSITORY / "digits")
    near = replace(card, scores={**card.scores, "test": {"accuracy": 0.985, "f1": 0.985}})
    outcomes = [
        Outcome("equal", card, card, [], 1),
        Outcome("near", near, card, [], 22),
        Outcome("broken", None, card, ["no"], 3),
    ]
    assert [line.split() for line in table(outcomes)[1:]] == [
        ["equal", "accuracy", "0.9887", "accuracy", "0.9887", "yes", "1", "s"],
        ["near", "accuracy", "0.985", "accuracy", "0.9887", "within", "tolerance", "22", "s"],
        ["broken", "-", "accuracy", "0.9887", "NO", "3", "s"],
    ]
