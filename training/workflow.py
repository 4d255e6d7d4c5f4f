"""The workflow from data to a served model: preprocess, build, train, validate, test, export.

`run` executes a recipe, writes `config.pbtxt`, `1/model.pt` and the model card with its images to a folder with the
model's name, and returns the card. Called by `python -m training`, by `check` and by the tests.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from torch import nn

from training import model_card, plots
from training.dataset import Dataset, Part
from training.fit import Log, fit, predict
from training.history import History
from training.model_card import ModelCard, sha256
from training.recipe import Recipe
from training.reproducible import reproducible
from training.scores import confusion
from triton_operator.export import export_torchscript
from triton_operator.export.config import config_text as text_for
from triton_operator.export.config import write_config
from triton_operator.export.examples import make_examples

_MODEL_FILE = "1/model.pt"
_CONFIG_FILE = "config.pbtxt"
_LIBRARIES = ("torch", "numpy", "scikit-learn", "matplotlib")


class NotGoodEnoughError(RuntimeError):
    """A score of a trained model misses the requirement of the recipe; nothing was exported. The message has both."""


class NotAsDeclaredError(RuntimeError):
    """The tensors that a recipe declares differ from those of its module; the message has both."""


@dataclass(frozen=True)
class _Trained:
    """A model that meets its requirements, with its data, history and scores."""

    model: nn.Module
    dataset: Dataset
    history: History
    scores: Mapping[str, Mapping[str, float]]


def run(recipe: Recipe, repository: Path, log: Log) -> ModelCard:
    """Train one model and export it to `repository`/<its name>, replacing the files of an earlier run."""
    dataset = recipe.preprocess()
    log(f"preprocess  {_sizes(dataset)}")
    with reproducible(recipe.plan.seed):
        model = recipe.build()
        log(f"build       {recipe.architecture}: {_parameters(model):,} parameters")
        history = (recipe.fit or fit)(model, recipe, dataset, lambda line: log(f"train       {line}"))
        scores = {"validation": score(recipe, model, dataset.validation)}
        log(f"validate    {_figures(scores['validation'])} with the weights of epoch {history.best_epoch}")
        scores["test"] = score(recipe, model, dataset.test)
        log(f"test        {_figures(scores['test'])}")
        require_good_enough(recipe, scores["test"])
        card = _export(recipe, _Trained(model, dataset, history, scores), repository)
    size = model_file(repository, recipe.name).stat().st_size
    log(f"export      {repository / recipe.name} ({size / 1e3:,.0f} kB)")
    return card


def score(recipe: Recipe, model: nn.Module, part: Part) -> dict[str, float]:
    """Evaluate a model on one part of the data, with each metric of the recipe."""
    outputs = predict(model, *part.arguments)
    return {metric.name: metric.measure(outputs, part.targets) for metric in recipe.metrics}


def require_good_enough(recipe: Recipe, scores: Mapping[str, float]) -> None:
    """Raise NotGoodEnoughError if a test score misses its requirement."""
    for metric in recipe.metrics:
        reached = scores[metric.name]
        if not metric.is_met_by(reached):
            bound = "at least" if metric.better == "higher" else "at most"
            message = f"{recipe.name}: test {metric.name} is {reached:.4g}, required is {bound} {metric.required:g}"
            raise NotGoodEnoughError(message)


def config_text(recipe: Recipe) -> str:
    """Return the text of config.pbtxt for a recipe."""
    return text_for(recipe.name, recipe.signature)


def model_file(repository: Path, name: str) -> Path:
    """Return the path of a model's TorchScript file."""
    return repository / name / _MODEL_FILE


def _export(recipe: Recipe, trained: _Trained, repository: Path) -> ModelCard:
    folder = repository / recipe.name
    _write_model(recipe, trained.model, folder)
    counts = _confusion(recipe, trained)
    files = [folder / _CONFIG_FILE, folder / _MODEL_FILE, *_draw(recipe, trained.history, counts, folder)]
    if recipe.companions:
        files += recipe.companions(repository)
    card = ModelCard(
        model=recipe.name,
        title=recipe.title,
        architecture=recipe.architecture,
        parameters=_parameters(trained.model),
        dataset=_dataset_facts(trained.dataset),
        training=_training_facts(recipe, trained.history),
        scores=trained.scores,
        tolerances={metric.name: metric.tolerance for metric in recipe.metrics},
        classes=list(recipe.classes),
        confusion=counts,
        served_tolerance=recipe.served_tolerance,
        libraries={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        files={Path(os.path.relpath(path, folder)).as_posix(): sha256(path) for path in files},
    )
    model_card.write(card, folder)
    return card


def _write_model(recipe: Recipe, model: nn.Module, folder: Path) -> None:
    """Export with examples of the declared types and shapes. Raises NotAsDeclaredError if the outputs differ."""
    examples = make_examples(recipe.inputs, batched=recipe.max_batch_size > 0)
    exported = export_torchscript(
        model,
        examples[0],
        folder.parent,
        name=recipe.name,
        input_names=[each.name for each in recipe.inputs],
        output_names=[each.name for each in recipe.outputs],
        max_batch_size=recipe.max_batch_size,
        other_examples=examples[1:],
        trace=recipe.trace,
    )
    if exported.signature != recipe.signature:
        raise NotAsDeclaredError(
            f"{recipe.name}: the recipe declares {recipe.signature}, but the module has {exported.signature}"
        )
    write_config(recipe.name, exported.signature, folder)


def _confusion(recipe: Recipe, trained: _Trained) -> list[list[int]]:
    """Return the confusion matrix of a classifier on the test set; empty for other models."""
    if not recipe.classes:
        return []
    test = trained.dataset.test
    counts: list[list[int]] = confusion(predict(trained.model, *test.arguments), test.targets).tolist()
    return counts


def _draw(recipe: Recipe, history: History, counts: Sequence[Sequence[int]], folder: Path) -> list[Path]:
    """Draw the images of the model card and return their paths."""
    curve, matrix = folder / plots.LEARNING_CURVE, folder / plots.CONFUSION_MATRIX
    plots.draw_learning_curve(history, curve)
    if not counts:
        return [curve]
    plots.draw_confusion(counts, recipe.classes, matrix)
    return [curve, matrix]


def _dataset_facts(dataset: Dataset) -> dict[str, object]:
    return {
        "name": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        "rows": dataset.rows(),
        "remarks": dataset.remarks,
    }


def _training_facts(recipe: Recipe, history: History) -> dict[str, object]:
    plan = {name: value for name, value in asdict(recipe.plan).items() if name != "report_every"}
    return {**plan, "best_epoch": history.best_epoch, "augmentation": recipe.augmentation, **history.facts}


def _parameters(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def _sizes(dataset: Dataset) -> str:
    return dataset.name + ": " + ", ".join(f"{count:,} {part}" for part, count in dataset.rows().items())


def _figures(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
