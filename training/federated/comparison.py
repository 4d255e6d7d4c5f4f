"""Compare federated training with central training and with each party alone, on the same test set.

Called by `python -m training.federated` and by the tests. Central training is the reference that needs all rows in one
place. A party alone also standardizes with the statistics of its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from training import workflow
from training.dataset import Dataset, Part
from training.federated import division, learning, run
from training.federated.learning import Scaling
from training.federated.settings import Settings
from training.federated.task import Task, task_of
from training.fit import Log, fit
from training.history import History
from training.model_card import ModelCard
from training.recipe import Recipe
from training.reproducible import reproducible
from training.workflow import score


@dataclass(frozen=True)
class Row:
    """One way of training: its number of training rows, and the scores on the common test set."""

    way: str
    rows: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """All rows of the table, the result of the federated training, and facts about its protection."""

    rows: Sequence[Row]
    agreed: run.Agreed
    facts: Mapping[str, object]

    def score(self, way: str, metric: str = "accuracy") -> float:
        """Return one score of a row by its name."""
        return next(each.scores[metric] for each in self.rows if each.way == way)


def compare(settings: Settings, log: Log) -> Outcome:
    """Split the training rows, train in every way and evaluate. Raises FederationError, like `run.train`."""
    task = task_of(settings)
    dataset = task.recipe.preprocess()
    parties = division.divide(dataset.train)
    for name, facts in division.describe(parties).items():
        log(f"{name:<12} " + ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in facts.items()))
    agreed = run.train(settings, dataset.validation, parties, log)
    alone = {name: _alone(task, settings, part, dataset) for name, part in parties.items()}
    rows = [
        Row("central", len(dataset.train), _alone(task, settings, dataset.train, dataset)),
        Row("federated", sum(agreed.rows.values()), _evaluate(task, agreed.arrays, agreed.scaling, dataset)),
        *(Row(f"{name} alone", len(parties[name]), scores) for name, scores in alone.items()),
    ]
    return Outcome(rows, agreed, run.facts(settings, agreed))


def export(settings: Settings, outcome: Outcome, repository: Path, log: Log) -> ModelCard:
    """Export the federated model with its card.

    Raises NotGoodEnoughError, like `workflow.run`; a model that was trained with noise has no requirement.
    """

    def adopt(model: nn.Module, _: Recipe, __: Dataset, ___: Log) -> History:
        learning.load(model, outcome.agreed.arrays, outcome.agreed.scaling)
        losses = outcome.agreed.losses
        return History(validation=losses, best_epoch=len(losses), facts=dict(outcome.facts))

    recipe = task_of(settings).recipe
    plan = replace(
        recipe.plan,
        epochs=settings.rounds,
        batch_size=settings.batch_size,
        optimizer="SGD" if settings.privacy else recipe.plan.optimizer,
        learning_rate=settings.learning_rate,
    )
    if settings.privacy:
        recipe = replace(recipe, metrics=tuple(replace(each, required=0.0) for each in recipe.metrics))
    return workflow.run(replace(recipe, fit=adopt, plan=plan), repository, log)


def table(outcome: Outcome) -> list[str]:
    """Return the table of an outcome, then the protection of the parties."""
    metrics = list(outcome.rows[0].scores)
    lines = [f"{'':<18} {'rows':>5}  " + "  ".join(f"{name:>8}" for name in metrics)]
    for row in outcome.rows:
        scores = "  ".join(f"{row.scores[name]:>8.4f}" for name in metrics)
        lines.append(f"{row.way:<18} {row.rows:>5}  {scores}")
    return [*lines, "", *_protection(outcome.facts)]


def _protection(facts: Mapping[str, object]) -> list[str]:
    privacy = facts["differential_privacy"]
    budget = (
        f"each party's rows: epsilon {privacy['epsilon']:.2f} at delta {privacy['delta']:g}"
        if isinstance(privacy, dict)
        else privacy
    )
    return [f"secure aggregation     {facts['secure_aggregation']}", f"differential privacy   {budget}"]


def _alone(task: Task, settings: Settings, part: Part, dataset: Dataset) -> dict[str, float]:
    """Train on these rows only, with the same plan and selection of the epoch as central training."""
    bounds = task.ranges[:, 1]
    scaling = learning.scaling(learning.statistics(part.inputs, bounds), bounds)
    with reproducible(settings.seed):
        model = task.recipe.build()
        learning.load(model, learning.weights(model), scaling)
        fit(model, task.central, replace(dataset, train=part), lambda _: None)
    return score(task.recipe, model, dataset.test)


def _evaluate(task: Task, arrays: learning.Arrays, scaling: Scaling, dataset: Dataset) -> dict[str, float]:
    model = task.recipe.build()
    learning.load(model, arrays, scaling)
    return score(task.recipe, model, dataset.test)
