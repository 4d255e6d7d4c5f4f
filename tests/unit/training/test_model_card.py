"""Model cards are written, read and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training import MODELS, REPOSITORY, model_card
from training.model_card import ModelCard, ModelCardError


def _card(**changes: object) -> ModelCard:
    card = ModelCard(
        model="m",
        title="A model",
        architecture="dense",
        parameters=1234,
        dataset={"name": "数据", "source": "s", "licence": "l", "rows": {"validation": 5, "test": 7}, "remarks": ""},
        training={"seed": 1},
        scores={"validation": {"accuracy": 0.98}, "test": {"accuracy": 0.97}},
        tolerances={"accuracy": 0.01},
        classes=["no", "yes"],
        confusion=[[3, 1], [0, 3]],
        served_tolerance=1e-5,
        libraries={"torch": "2"},
        files={"1/model.pt": "0" * 64},
    )
    return replace(card, **changes)  # type: ignore[arg-type]


def test_a_written_card_is_read_unchanged(tmp_path: Path) -> None:
    """Including Chinese text."""
    model_card.write(_card(), tmp_path)
    assert model_card.read(tmp_path) == _card()


def test_the_text_shows_the_same_scores(tmp_path: Path) -> None:
    """The table is generated from the front matter."""
    model_card.write(_card(), tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| part | rows | accuracy |" in text
    assert "| test | 7 | 0.97 |" in text
    assert "1,234 parameters" in text


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "# no facts\n",
        "---\nmodel: m\n",
        "---\nmodel: m\n---\n",
        "---\nunknown: 1\n---\n",
        "text\n---\n---\n",
        "---\na: [\n---\n",
    ],
)
def test_an_invalid_card_is_reported_with_the_command_that_writes_it(tmp_path: Path, content: str | None) -> None:
    """The card is missing, empty, truncated, incomplete, unknown or malformed."""
    if content is not None:
        (tmp_path / "README.md").write_text(content, encoding="utf-8")
    with pytest.raises(ModelCardError, match=r"README\.md is not a model card: .*python -m training"):
        model_card.read(tmp_path)


def test_scores_within_the_tolerance_are_equal() -> None:
    """Another processor may classify one digit of a hundred differently."""
    measured = _card(scores={"validation": {"accuracy": 0.975}, "test": {"accuracy": 0.979}})
    assert model_card.differences(_card(), measured.scores) == []


def test_a_missing_score_is_reported() -> None:
    """As NaN."""
    assert "retraining gave nan" in model_card.differences(_card(), {"validation": {"accuracy": 0.98}})[0]


@pytest.mark.parametrize("reached", [0.95, 0.99, float("nan")])
def test_scores_beyond_the_tolerance_are_reported(reached: float) -> None:
    """Whether worse, better or NaN: the card does not describe this model."""
    measured = _card(scores={"validation": {"accuracy": 0.98}, "test": {"accuracy": reached}})
    (sentence,) = model_card.differences(_card(), measured.scores)
    assert sentence == f"test accuracy: the model card states 0.97, retraining gave {reached:g} (tolerance 0.01)"


def test_missing_and_changed_files_are_reported(tmp_path: Path) -> None:
    """The scores of a card are invalid for other files."""
    (tmp_path / "a").write_text("changed")
    card = _card(files={"a": "0" * 64, "b": "0" * 64})
    assert [each.split(":")[0] for each in model_card.damaged_files(card, tmp_path)] == [
        str(tmp_path / "a"),
        str(tmp_path / "b"),
    ]


@pytest.mark.parametrize("name", MODELS)
def test_committed_models_match_their_cards(name: str) -> None:
    """Every file has the checksum in the card, and the card has the model's name."""
    card = model_card.read(REPOSITORY / name)
    assert card.model == name
    assert {"config.pbtxt", "1/model.pt", "learning_curve.png"} <= set(card.files)
    assert ("confusion_matrix.png" in card.files) is bool(card.classes)
    assert model_card.damaged_files(card, REPOSITORY / name) == []


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("digits_small", 0.97),
        ("digits_dense", 0.97),
        ("digits", 0.97),
        ("breast_cancer", 0.95),
        ("breast_cancer_hidden", 0.95),
        ("digits_lstm", 0.95),
        ("digits_gru", 0.95),
        ("token_tagger_model", 0.95),
    ],
)
def test_committed_scores_are_good(name: str, least: float) -> None:
    """They meet the project's requirements."""
    assert model_card.read(REPOSITORY / name).scores["test"]["accuracy"] >= least


@pytest.mark.parametrize("name", ["chinese_texts_model", "bert_texts_model"])
def test_committed_text_models_distinguish_friendly_from_unfriendly(name: str) -> None:
    """On sentences with patterns that are not in the training set."""
    assert model_card.read(REPOSITORY / name).scores["test"]["f1"] >= 0.9


def test_the_error_of_linear_regression_is_below_a_twentieth() -> None:
    """Of two rows; the square of 0.05 is 0.0025."""
    assert model_card.read(REPOSITORY / "linear_regression").scores["test"]["mse"] <= 0.05**2 / 2


def test_the_model_repository_is_small() -> None:
    """It stays in the history of the repository, and a page with a card loads its images."""
    files = [path for path in REPOSITORY.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    assert [path for path in files if path.suffix == ".png" and path.stat().st_size > 25_000] == []


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "digits_gru"])
def test_a_card_contains_the_confusion_matrix(name: str) -> None:
    """Its sum is the size of the test set, and its diagonal matches the accuracy."""
    card = model_card.read(REPOSITORY / name)
    counts = [sum(row) for row in card.confusion]
    right = sum(row[index] for index, row in enumerate(card.confusion))
    assert sum(counts) == card.dataset["rows"]["test"]
    assert right / sum(counts) == card.scores["test"]["accuracy"]


def test_a_card_shows_its_images(tmp_path: Path) -> None:
    """They are in the same folder."""
    model_card.write(_card(files={"learning_curve.png": "0" * 64, "1/model.pt": "0" * 64}), tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8").endswith("\n\n![Learning curve](learning_curve.png)\n")
