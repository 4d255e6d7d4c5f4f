"""The workflow with models that have integer inputs, several inputs, and an output per token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from training import model_card, torchscript
from training.dataset import Dataset, Part
from training.fit import predict
from training.losses import IGNORED, cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, macro_f1
from training.verify import compare
from training.workflow import run
from triton_operator.triton.model_file.archive import read_signature
from triton_operator.triton.model_file.signature import TensorSpec

pytestmark = pytest.mark.training

_TOKENS, _LENGTH = 8, 4


class _OddOrEven(nn.Module):
    """Token numbers and a mask, both [batch, length] -> [batch, length, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_TOKENS, 4)
        self.linear = nn.Linear(4, 2)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        logits = self.linear(self.embedding(tokens)) * mask.unsqueeze(-1)
        if self.training:
            return logits  # type: ignore[no-any-return]
        return torch.softmax(logits, dim=-1)


def _part(seed: int) -> Part:
    tokens = np.random.default_rng(seed).integers(0, _TOKENS, (20, _LENGTH), dtype=np.int64)
    mask = np.ones_like(tokens, dtype=np.int32)
    mask[:, -1] = 0
    return Part(tokens, np.where(mask, tokens % 2, IGNORED), (mask,))


def _written_beside(repository: Path) -> Sequence[Path]:
    path = repository / "tokens_labels" / "labels.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("even\nodd\n")
    return [path]


_RECIPE = Recipe(
    name="tokens",
    title="Odd or even",
    architecture="embedding 4 -> dense 2, softmax",
    preprocess=lambda: Dataset("numbers", "here", "Apache-2.0", _part(1), _part(2), _part(3)),
    build=_OddOrEven,
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=60, batch_size=5, optimizer="Adam", learning_rate=0.05, report_every=60),
    metrics=(
        Metric("accuracy", accuracy, better="higher", required=0.95, tolerance=0),
        Metric("f1", macro_f1, better="higher", required=0.95, tolerance=0),
    ),
    inputs=(TensorSpec("INPUT__0", "INT64", (_LENGTH,)), TensorSpec("INPUT__1", "INT32", (_LENGTH,))),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (_LENGTH, 2)),),
    max_batch_size=8,
    classes=("even", "odd"),
    companions=_written_beside,
)


def _silent(line: str) -> None:
    """Ignore progress."""


def test_a_model_with_two_integer_inputs_is_trained_and_exported(tmp_path: Path) -> None:
    """Padding, one token of four, affects neither training nor metrics."""
    card = run(_RECIPE, tmp_path, _silent)
    assert card.scores["test"] == {"accuracy": 1, "f1": 1}
    assert sum(sum(row) for row in card.confusion) == 20 * (_LENGTH - 1)
    assert read_signature(tmp_path / "tokens" / "1" / "model.pt") == _RECIPE.signature


def test_tracing_and_scripting_give_the_same_model(tmp_path: Path) -> None:
    """Tracing is for modules that cannot be scripted."""
    card = run(replace(_RECIPE, trace=True), tmp_path, _silent)
    assert card.scores["test"]["accuracy"] == 1


def test_companion_files_are_in_the_model_card(tmp_path: Path) -> None:
    """A changed file is detected."""
    card = run(_RECIPE, tmp_path, _silent)
    assert model_card.damaged_files(card, tmp_path / "tokens") == []
    (tmp_path / "tokens_labels" / "labels.txt").write_text("odd\neven\n")
    (problem,) = model_card.damaged_files(card, tmp_path / "tokens")
    assert "../tokens_labels/labels.txt: not the file" in problem


def test_all_inputs_are_sent_in_the_same_batches(tmp_path: Path) -> None:
    """The tokens and the mask of a request belong to the same rows."""
    run(_RECIPE, tmp_path, _silent)
    eager = torchscript.load_eager(_OddOrEven, tmp_path / "tokens" / "1" / "model.pt")
    sent: list[tuple[int, ...]] = []

    def infer(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        sent.append((*tokens.shape, *mask.shape))
        return predict(eager, tokens, mask)

    report = compare(_RECIPE, {"HTTP": infer}, infer)
    assert report.passed
    assert report.scores["HTTP"]["accuracy"] == 1
    assert sent[: len(sent) // 2] == [(8, 4, 8, 4), (8, 4, 8, 4), (4, 4, 4, 4)]


@pytest.mark.parametrize(("allowed", "passed"), [(1e-5, False), (1e-2, True)])
def test_the_recipe_sets_the_tolerance_for_served_outputs(allowed: float, *, passed: bool) -> None:
    """Reduced precision needs a larger one."""
    expected = np.zeros((8, _LENGTH, 2), dtype=np.float32)
    recipe = replace(_RECIPE, served_tolerance=allowed)
    report = compare(recipe, {"HTTP": lambda *a: expected[: len(a[0])] + 1e-3}, lambda *a: expected[: len(a[0])])
    assert report.passed is passed
