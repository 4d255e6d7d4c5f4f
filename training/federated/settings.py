"""What all processes of a run agree on before it starts; `run` writes it as a file, the others read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from training.recipe import Plan

FILE_NAME = "settings.json"
RESULT, REPORT = "result.npz", "report.json"
"""What the coordinator leaves in its folder: weights with their scaling, and the report."""

TASK, ROUND = "task", "round"
STATISTICS, TRAIN = "statistics", "train"
"""A call's configuration has a task, one of two, and the number of the round."""

_LOCAL_EPOCHS = 5


@dataclass(frozen=True)
class Privacy:
    """How much may be learned about one row of a party from everything that the party sends.

    `epsilon` at `delta` is what each party spends in the whole run: the noise is chosen for it, unless
    `noise_multiplier` (standard deviation over `clip`) is given. Each row's gradient is cut to the length `clip`.
    """

    epsilon: float = 3.0
    delta: float = 1e-4
    clip: float = 0.5
    noise_multiplier: float | None = None


@dataclass(frozen=True)
class Settings:
    """How the parties learn: `rounds` of averaging, in each `local_epochs` over a party's own rows.

    `recipe` is the module of `training` with RECIPE and RANGES; a `batch_size` of 0 stands for all rows of a party.
    With `masked` the coordinator sees sums alone.
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
        """Leave the settings in a process's folder."""
        (folder / FILE_NAME).write_bytes(msgspec.json.encode(self))


def averaged(plan: Plan, recipe: str, parties: tuple[str, ...], *, masked: bool) -> Settings:
    """Return settings for a recipe's plan: each of its epochs is a round."""
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
    """Return settings that spend a privacy budget well: one step over all rows of a party per round.

    The noise of a step does not depend on how many rows it takes, so the mean of many rows has less of it; gradients
    are cut short, which large steps make up for.
    """
    return replace(settings, rounds=25, local_epochs=1, batch_size=0, learning_rate=4.0, privacy=privacy)


def read(folder: Path) -> Settings:
    """Read what `Settings.write` left."""
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Settings)
