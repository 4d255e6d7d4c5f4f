"""From data to a model that Triton serves: preprocess, build, train, validate, test, export.

`run` follows a recipe and leaves `config.pbtxt`, `1/model.pt` and the model card in a folder of the model's name, then
returns the card. Called by `python -m training`, by `check` and by the tests.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from training import model_card
from training.dataset import Dataset, Part
from training.fit import Say, fit, predict
from training.model_card import ModelCard, sha256
from training.recipe import Recipe
from training.reproducible import reproducible
from triton_operator.export import export_torchscript
from triton_operator.export.config import config_text as text_for
from triton_operator.export.config import write_config

_MODEL_FILE = "1/model.pt"
_CONFIG_FILE = "config.pbtxt"
_LIBRARIES = ("torch", "numpy", "scikit-learn")


class NotGoodEnoughError(RuntimeError):
    """A trained model scores below what its recipe requires; nothing was exported. The message has both numbers."""


class NotAsDeclaredError(RuntimeError):
    """A recipe declares other tensors than its module has; the message has both."""


def run(recipe: Recipe, repository: Path, say: Say) -> ModelCard:
    """Make one model and export it to `repository`/<its name>, replacing what an earlier run left there."""
    dataset = recipe.preprocess()
    say(f"preprocess  {_sizes(dataset)}")
    with reproducible(recipe.plan.seed):
        model = recipe.build()
        say(f"build       {recipe.architecture}: {_parameters(model):,} parameters")
        best_epoch = fit(model, recipe, dataset, lambda line: say(f"train       {line}"))
        scores = {"validation": score(recipe, model, dataset.validation)}
        say(f"validate    {_figures(scores['validation'])} with the weights of epoch {best_epoch}")
        scores["test"] = score(recipe, model, dataset.test)
        say(f"test        {_figures(scores['test'])}")
    require_good_enough(recipe, scores["test"])
    folder = repository / recipe.name
    card = _export(recipe, model, folder, _facts(recipe, dataset, best_epoch), scores)
    say(f"export      {folder} ({(folder / _MODEL_FILE).stat().st_size / 1e3:,.0f} kB)")
    return card


def score(recipe: Recipe, model: nn.Module, part: Part) -> dict[str, float]:
    """Measure a model on one part of the data, by each metric of the recipe."""
    outputs = predict(model, part.inputs)
    return {metric.name: metric.measure(outputs, part.targets) for metric in recipe.metrics}


def require_good_enough(recipe: Recipe, scores: Mapping[str, float]) -> None:
    """Raise NotGoodEnoughError for the first test score that misses its requirement."""
    for metric in recipe.metrics:
        reached = scores[metric.name]
        if not metric.is_met_by(reached):
            bound = "at least" if metric.better == "higher" else "at most"
            message = f"{recipe.name}: test {metric.name} is {reached:.4g}, required is {bound} {metric.required:g}"
            raise NotGoodEnoughError(message)


def config_text(recipe: Recipe) -> str:
    """Write the config.pbtxt of a recipe's model."""
    return text_for(recipe.name, recipe.signature)


def model_file(repository: Path, name: str) -> Path:
    """Return where the TorchScript file of a model lies."""
    return repository / name / _MODEL_FILE


def _export(
    recipe: Recipe,
    model: nn.Module,
    folder: Path,
    facts: Mapping[str, Mapping[str, object]],
    scores: Mapping[str, Mapping[str, float]],
) -> ModelCard:
    _write_model(recipe, model, folder)
    card = ModelCard(
        model=recipe.name,
        title=recipe.title,
        architecture=recipe.architecture,
        parameters=_parameters(model),
        dataset=facts["dataset"],
        training=facts["training"],
        scores=scores,
        tolerances={metric.name: metric.tolerance for metric in recipe.metrics},
        libraries={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        files={name: sha256(folder / name) for name in (_CONFIG_FILE, _MODEL_FILE)},
    )
    model_card.write(card, folder)
    return card


def _write_model(recipe: Recipe, model: nn.Module, folder: Path) -> None:
    """Export with an example of the declared shape; the module itself says what it gives."""
    examples = [torch.zeros(2, *tensor.dims) for tensor in recipe.inputs]
    exported = export_torchscript(
        model, examples, folder.parent, name=recipe.name, max_batch_size=recipe.max_batch_size
    )
    if exported.signature != recipe.signature:
        raise NotAsDeclaredError(f"{recipe.name}: the recipe says {recipe.signature}, the module {exported.signature}")
    write_config(recipe.name, exported.signature, folder)


def _facts(recipe: Recipe, dataset: Dataset, best_epoch: int) -> dict[str, dict[str, object]]:
    """Return what the model learned from and how, for its card."""
    plan = {name: value for name, value in asdict(recipe.plan).items() if name != "report_every"}
    return {
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "licence": dataset.licence,
            "rows": dataset.rows(),
            "remarks": dataset.remarks,
        },
        "training": {**plan, "best_epoch": best_epoch, "augmentation": recipe.augmentation},
    }


def _parameters(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def _sizes(dataset: Dataset) -> str:
    return dataset.name + ": " + ", ".join(f"{count:,} {part}" for part, count in dataset.rows().items())


def _figures(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
