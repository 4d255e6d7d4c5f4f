"""Train all models, several at a time, and compare each with its card. `python -m training all` calls it.

Each model trains in its own process with one thread, so that the results equal those of training it alone.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from training.check import retrain
from training.fit import Log
from training.model_card import ModelCard, ModelCardError
from training.model_card import read as read_card
from training.recipes import find
from training.workflow import NotGoodEnoughError, run

_REPORT_SECONDS = 10.0
"""Minimum interval between two progress lines about the epochs of a model."""


@dataclass(frozen=True)
class Outcome:
    """The new and the committed card of a model, None if there is none. `problems` are sentences."""

    model: str
    made: ModelCard | None
    committed: ModelCard | None
    problems: list[str]
    seconds: float

    @property
    def verdict(self) -> str:
        """Return whether the scores are equal to, close to or different from those of the committed card."""
        if self.problems:
            return "NO"
        if self.made is None or self.committed is None:
            return "new"
        return "yes" if self.made.scores == self.committed.scores else "within tolerance"


def train_all(names: Sequence[str], repository: Path, *, keep: bool) -> list[Outcome]:
    """Train these models, slow ones first; with `keep`, the new files replace those of the repository."""
    ordered = sorted(names, key=lambda name: not find(name).slow)
    workers = min(len(ordered), len(os.sched_getaffinity(0)))
    # One process per model, because torch renames known classes in the second export of a process.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, max_tasks_per_child=1) as pool:
        running = [pool.submit(_train, name, repository, keep) for name in ordered]
        outcomes = {each.result().model: each.result() for each in as_completed(running)}
    return [outcomes[name] for name in names]


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return one line per model: its main score on the test set, and the committed one."""
    rows = [
        (each.model, _headline(each.made), _headline(each.committed), each.verdict, f"{each.seconds:.0f} s")
        for each in outcomes
    ]
    titles = ("model", "score", "committed", "same", "time")
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    ]


def _train(name: str, repository: Path, keep: bool) -> Outcome:  # noqa: FBT001 - a pool passes arguments by position.
    """Train one model, in a worker process."""
    start, recipe = time.monotonic(), find(name)
    committed = _committed(repository / name)
    made: ModelCard | None = None
    problems: list[str] = []
    try:
        if keep:
            made = run(recipe, repository, _progress_printer(name))
        else:
            made, problems = retrain(recipe, repository, _progress_printer(name))
    except (ModelCardError, NotGoodEnoughError) as error:
        problems = [str(error)]
    return Outcome(name, made, committed, problems, time.monotonic() - start)


def _committed(folder: Path) -> ModelCard | None:
    try:
        return read_card(folder)
    except ModelCardError:
        return None


def _progress_printer(name: str) -> Log:
    """Return a function that prints lines with the model's name, and at most one line about epochs in ten seconds."""
    last = -_REPORT_SECONDS

    def log(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if line.startswith("train"):
            if now - last < _REPORT_SECONDS:
                return
            last = now
        print(f"{name:<20}  {line}", flush=True)

    return log


def _headline(card: ModelCard | None) -> str:
    """Return the first metric with its value on the test set."""
    if card is None:
        return "-"
    name, value = next(iter(card.scores["test"].items()))
    return f"{name} {value:.4g}"
