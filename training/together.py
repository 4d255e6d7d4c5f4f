"""Makes all models again, several at a time, and compares each with its card. `python -m training all` calls it.

Each model trains in a process of its own with one thread, so that the numbers are those of training it alone.
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
from training.fit import Say
from training.model_card import ModelCard, ModelCardError
from training.model_card import read as read_card
from training.recipes import find
from training.workflow import NotGoodEnoughError, run

_REPORT_SECONDS = 10.0
"""Time between two lines about the epochs of one model."""


@dataclass(frozen=True)
class Outcome:
    """What making one model again gave; a card is None where there is none. `problems` are sentences."""

    model: str
    made: ModelCard | None
    committed: ModelCard | None
    problems: list[str]
    seconds: float

    @property
    def verdict(self) -> str:
        """Say whether the scores are those of the committed card."""
        if self.problems:
            return "NO"
        if self.made is None or self.committed is None:
            return "new"
        return "yes" if self.made.scores == self.committed.scores else "within tolerance"


def make_all(names: Sequence[str], repository: Path, *, keep: bool) -> list[Outcome]:
    """Make these models, slow ones first; with `keep` their new files replace those of the repository."""
    ordered = sorted(names, key=lambda name: not find(name).slow)
    workers = min(len(ordered), len(os.sched_getaffinity(0)))
    # A process for each: in a second export of one process, torch gives other names to the layers it already knows.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, max_tasks_per_child=1) as pool:
        running = [pool.submit(_make, name, repository, keep) for name in ordered]
        outcomes = {each.result().model: each.result() for each in as_completed(running)}
    return [outcomes[name] for name in names]


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Describe the outcomes, one line per model: its headline score in the test part, and the committed one."""
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


def _make(name: str, repository: Path, keep: bool) -> Outcome:  # noqa: FBT001 - a pool passes arguments by position.
    """Run in a process of its own."""
    start, recipe = time.monotonic(), find(name)
    committed = _committed(repository / name)
    made: ModelCard | None = None
    problems: list[str] = []
    try:
        if keep:
            made = run(recipe, repository, _narrator(name))
        else:
            made, problems = retrain(recipe, repository, _narrator(name))
    except (ModelCardError, NotGoodEnoughError) as error:
        problems = [str(error)]
    return Outcome(name, made, committed, problems, time.monotonic() - start)


def _committed(folder: Path) -> ModelCard | None:
    try:
        return read_card(folder)
    except ModelCardError:
        return None


def _narrator(name: str) -> Say:
    """Print lines with the model's name before them; of the many about epochs only one in ten seconds."""
    last = -_REPORT_SECONDS

    def say(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if line.startswith("train"):
            if now - last < _REPORT_SECONDS:
                return
            last = now
        print(f"{name:<20}  {line}", flush=True)

    return say


def _headline(card: ModelCard | None) -> str:
    """Name the first metric with its value in the test part."""
    if card is None:
        return "-"
    name, value = next(iter(card.scores["test"].items()))
    return f"{name} {value:.4g}"
