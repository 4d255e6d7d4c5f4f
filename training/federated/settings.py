"""The settings that all processes of a run share. `run` writes them to a file, and the others read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from training.recipe import Plan

FILE_NAME = "settings.json"
RESULT, REPORT = "result.npz", "report.json"
"""Files that the coordinator writes to its folder: the weights with their scaling, and the report."""

TASK, ROUND = "task", "round"
STATISTICS, TRAIN = "statistics", "train"
"""Keys and values of a call's configuration: the task and the number of the round."""

_LOCAL_EPOCHS = 5


@dataclass(frozen=True)
class Privacy:
    """The privacy budget of a party's rows.

    Each party spends `epsilon` at `delta` in the whole run. The noise is derived from it, unless `noise_multiplier`
    (standard deviation divided by `clip`) is set. The gradient of each row is clipped to the norm `clip`.
    """

    epsilon: float = 3.0
    delta: float = 1e-4
    clip: float = 0.5
    noise_multiplier: float | None = None


@dataclass(frozen=True)
class Settings:
    """The hyperparameters: `rounds` of averaging, each with `local_epochs` over a party's own rows.

    `recipe` is the module of `training` with RECIPE and RANGES. A `batch_size` of 0 means all rows of a party. With
    `masked`, the coordinator sees only sums.
    """

    recipe: str
    parties: tuple[str, ...]
    rounds: int
    local_epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    masked: bool = False
    privacy: Privacy | None = None

    def write(self, folder: Path) -> None:
        """Write the settings to the folder of a process."""
        (folder / FILE_NAME).write_bytes(msgspec.json.encode(self))


def averaged(plan: Plan, recipe: str, parties: tuple[str, ...], *, masked: bool) -> Settings:
    """Return settings for a recipe's plan; each of its epochs is a round."""
    return Settings(
        recipe=recipe,
        parties=parties,
        rounds=plan.epochs,
        local_epochs=_LOCAL_EPOCHS,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        seed=plan.seed,
        masked=masked,
    )


def with_privacy(settings: Settings, privacy: Privacy) -> Settings:
    """Return settings that use a privacy budget efficiently: one step over all rows of a party per round.

    The noise of a step does not depend on the batch size, so the mean gradient of a large batch has less noise. The
    learning rate is large to compensate for clipping.
    """
    return replace(settings, rounds=25, local_epochs=1, batch_size=0, learning_rate=4.0, privacy=privacy)


def read(folder: Path) -> Settings:
    """Read the settings that `Settings.write` wrote."""
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Settings)
