"""Train the tumour classifier with three parties, none of which shares its rows.

Architecture, loss, test set and requirements are those of `breast_cancer`; only the training differs.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from training.breast_cancer import LOGISTIC, TumourClassifier
from training.dataset import Dataset
from training.fit import Log
from training.history import History
from training.recipe import Plan, Recipe

RANGES = (
    (6.981, 28.11),  # radius
    (9.71, 39.28),  # texture
    (43.79, 188.5),  # perimeter
    (143.5, 2501.0),  # area
    (0.053, 0.163),  # smoothness
    (0.019, 0.345),  # compactness
    (0.0, 0.427),  # concavity
    (0.0, 0.201),  # concave points
    (0.106, 0.304),  # symmetry
    (0.05, 0.097),  # fractal dimension
)
"""Minimum and maximum of each measurement, as published in the description of the data set."""


def build() -> TumourClassifier:
    """Create a module that does not depend on any row: the parties also compute its scaling."""
    return TumourClassifier(torch.zeros(len(RANGES)), torch.ones(len(RANGES)))


def fit(model: nn.Module, recipe: Recipe, dataset: Dataset, log: Log) -> History:
    """Train in four processes with secure aggregation, and keep the weights of the last round."""
    from training.federated import division, learning, run
    from training.federated.settings import averaged

    settings = averaged(recipe.plan, __name__.rpartition(".")[2], division.PARTIES, masked=True)
    parties = division.divide(dataset.train)
    agreed = run.train(settings, dataset.validation, parties, log)
    learning.load(model, agreed.arrays, agreed.scaling)
    return History(validation=agreed.losses, best_epoch=len(agreed.losses), facts=run.facts(settings, agreed))


RECIPE = replace(
    LOGISTIC,
    name="breast_cancer_federated",
    title="Malignant or benign tumours, learned by three parties together",
    build=build,
    # An epoch is a round: five passes over each party's own rows, then the average.
    plan=Plan(seed=1, epochs=10, batch_size=32, optimizer="Adam", learning_rate=0.05),
    fit=fit,
    slow=True,
)

CENTRAL = LOGISTIC
"""The recipe for training on all rows in one place, and on the rows of a single party."""
