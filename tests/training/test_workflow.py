"""The shared workflow, with a model that trains in milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from msgspec import structs
from torch import nn

from training import REPOSITORY, linear_regression, model_card, torchscript
from training.check import check
from training.fit import fit, predict
from training.recipe import Recipe
from training.reproducible import reproducible
from training.workflow import NotAsDeclaredError, NotGoodEnoughError, run
from triton_operator.export import export_torchscript

pytestmark = pytest.mark.training

_LINE = linear_regression.RECIPE


def _short(epochs: int, *, required: float = 1e9) -> Recipe:
    """Linear regression with fewer epochs and a lower requirement."""
    plan = replace(_LINE.plan, epochs=epochs, report_every=1)
    return replace(_LINE, plan=plan, metrics=(replace(_LINE.metrics[0], required=required),))


def _silent(line: str) -> None:
    """Ignore progress."""


def test_each_step_and_each_epoch_is_reported(tmp_path: Path) -> None:
    """In the order preprocess, build, train, validate, test, export."""
    lines: list[str] = []
    run(_short(2), tmp_path, lines.append)
    steps = [line.split()[0] for line in lines]
    assert steps == ["preprocess", "build", "train", "train", "validate", "test", "export"]


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    """Byte for byte, and running again replaces them."""
    first = run(_short(3), tmp_path, _silent)
    again = run(_short(3), tmp_path, _silent)
    assert again == first
    assert model_card.damaged_files(first, tmp_path / "linear_regression") == []
    assert model_card.read(tmp_path / "linear_regression") == first


def test_another_seed_gives_a_different_model(tmp_path: Path) -> None:
    """The result depends on the seed of the plan."""
    other = replace(_short(3), plan=replace(_short(3).plan, seed=2))
    assert run(_short(3), tmp_path, _silent).files != run(other, tmp_path, _silent).files


def test_a_bad_model_is_not_exported(tmp_path: Path) -> None:
    """The message has the score and the requirement."""
    with pytest.raises(NotGoodEnoughError, match=r"linear_regression: test mse is .*, required is at most 1e-06"):
        run(_short(1, required=1e-6), tmp_path, _silent)
    assert list(tmp_path.iterdir()) == []


def test_training_that_diverges_is_not_exported(tmp_path: Path) -> None:
    """Above a learning rate of 0.019, the weights grow until they are NaN, and earlier weights are also bad."""
    recipe = replace(_LINE, plan=replace(_LINE.plan, learning_rate=1.0, epochs=60))
    with pytest.raises(NotGoodEnoughError):
        run(recipe, tmp_path, _silent)


def test_training_keeps_the_weights_with_the_lowest_validation_loss() -> None:
    """Here, the learning rate is too high, so the second epoch is worse than the first."""
    recipe = replace(_LINE, plan=replace(_LINE.plan, learning_rate=0.03, epochs=5))
    dataset = recipe.preprocess()
    with reproducible(1):
        model = recipe.build()
        before = predict(model, dataset.validation.inputs)
        history = fit(model, recipe, dataset, _silent)
    losses = [
        float(np.mean((each - dataset.validation.targets) ** 2))
        for each in (before, predict(model, dataset.validation.inputs))
    ]
    assert history.best_epoch == 1
    assert history.validation[0] == min(history.validation)
    assert len(history.train) == len(history.validation) == 5
    assert losses[1] < 10 * losses[0]


def test_the_cosine_schedule_decays_to_zero() -> None:
    """In the last epoch, the weights hardly change; with a constant rate, they do."""
    assert _last_movement("cosine") < _last_movement("constant") / 10


def _last_movement(schedule: Literal["constant", "cosine"]) -> float:
    plan = replace(_LINE.plan, epochs=20, learning_rate=0.001, schedule=schedule, report_every=1)
    weights: list[torch.Tensor] = []
    with reproducible(1):
        model = linear_regression.LinearRegression()

        def remember(_: str) -> None:
            weights.append(model.linear.weight.detach().clone())

        fit(model, replace(_LINE, plan=plan), _LINE.preprocess(), remember)
    return float((weights[-1] - weights[-2]).abs().max())


def test_the_settings_of_torch_are_restored() -> None:
    """The number of threads and the random state, also after an error."""
    before = _torch_state()
    with pytest.raises(KeyError):
        _fail_inside()
    assert _torch_state() == before


def _fail_inside() -> None:
    with reproducible(3):
        assert torch.get_num_threads() == 1
        torch.rand(1)
        raise KeyError


def _torch_state() -> tuple[int, bool, list[int]]:
    numbers = torch.random.get_rng_state().tolist()
    return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), numbers


def test_a_recipe_that_declares_wrong_tensors_is_rejected(tmp_path: Path) -> None:
    """The declaration must match the module."""
    wrong = replace(_short(1), outputs=(structs.replace(_LINE.outputs[0], dims=(2,)),))
    with pytest.raises(NotAsDeclaredError, match="linear_regression: the recipe declares"):
        run(wrong, tmp_path, _silent)


def test_a_card_with_wrong_scores_is_detected(tmp_path: Path) -> None:
    """By `--check`."""
    card = run(_LINE, tmp_path, _silent)
    model_card.write(replace(card, scores={"test": {"mse": 0.5}}), tmp_path / _LINE.name)
    (problem,) = check(_LINE, tmp_path, _silent)
    assert problem.startswith("test mse: the model card states 0.5, retraining gave")


class _Doubles(nn.Module):
    """Twice the input, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value * self.weight


def test_all_processes_write_the_same_archive(tmp_path: Path) -> None:
    """Although the order of a layer's constants, a set of names, differs between processes."""
    program = (
        "import sys, torch; from training import digits; from triton_operator.export import export_torchscript; "
        "torch.manual_seed(1); "
        "export_torchscript(digits.DigitsNetwork(), torch.zeros(1, 1, 28, 28), sys.argv[1], name='digits')"
    )
    archives = []
    for seed in ("1", "2", "3"):
        path = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program, str(path)], cwd=REPOSITORY.parent, env=environment, check=True)
        archives.append((path / "digits" / "1" / "model.pt").read_bytes())
    assert archives[0] == archives[1] == archives[2]


def test_the_eager_module_has_the_weights_of_the_file(tmp_path: Path) -> None:
    """And not its initial weights."""
    trained = _Doubles()
    trained.weight.data.fill_(5)
    path = export_torchscript(trained, torch.ones(1), tmp_path, name="doubles").path
    assert torchscript.load_eager(_Doubles, path)(torch.tensor([1.0])).tolist() == [10.0]
