"""A pytest plugin for benchmarks: it prints each cost next to the committed baseline. A higher cost is not a failure.

`make bench` loads it. A benchmark is a function `bench_*` in a file `bench_*.py` of the tier whose fixtures it needs;
the tests of the tier do not collect it. Every cost is better when it is lower.

Input: costs, and how fast the machine is (`reference.py`), taken in the same run. Output: a table at the end of the
run, and a new baseline.json with --write-baseline.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks.reference import Sample, sample

BASELINE = Path(__file__).with_name("baseline.json")


class Scale(Enum):
    """What a cost is divided by before it is compared with the baseline."""

    CPU = "cpu"
    """CPU time of the reference work: a slower processor does not count."""
    CLOCK = "clock"
    """Elapsed time of the reference work: neither does a busy machine."""
    NONE = "none"
    """Nothing: the cost is the same on every machine."""


class Cost(NamedTuple):
    """One figure; `relative` is what the baseline keeps."""

    name: str
    value: float
    unit: str
    relative: float


class Costs:
    """What one benchmark measures; the machine's speed is that of the same minutes."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._taken: list[tuple[str, float, str, Scale]] = []

    def sample(self) -> None:
        """Measure the speed of the machine. A long benchmark calls it repeatedly while it waits."""
        self._samples.append(sample())

    def add(self, name: str, value: float, unit: str, scale: Scale = Scale.NONE) -> None:
        """Record a cost: `value` in `unit`, which is milliseconds for a time."""
        self._taken.append((name, value, unit, scale))

    def results(self) -> list[Cost]:
        """All costs, with the median speed of the machine."""
        reference = {
            Scale.CPU: statistics.median(each.cpu for each in self._samples),
            Scale.CLOCK: statistics.median(each.clock for each in self._samples),
            Scale.NONE: 1.0,
        }
        return [Cost(name, value, unit, value / reference[scale]) for name, value, unit, scale in self._taken]


_RESULTS = pytest.StashKey[list[Cost]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts the costs of this run."""
    parser.addoption("--write-baseline", action="store_true", help="write the costs of this run to baseline.json")


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty list of costs."""
    config.stash[_RESULTS] = []


@pytest.fixture
def costs(request: pytest.FixtureRequest) -> Iterator[Costs]:
    """Record costs, and measure the speed of the machine before and after."""
    costs = Costs()
    for _ in range(3):
        costs.sample()
    yield costs
    for _ in range(3):
        costs.sample()
    request.config.stash[_RESULTS].extend(costs.results())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    terminalreporter.section("costs")
    for line in table(config.stash[_RESULTS], baseline):
        terminalreporter.write_line(line)
    if config.option.write_baseline:
        kept = baseline | {cost.name: _rounded(cost.relative) for cost in config.stash[_RESULTS]}
        BASELINE.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def table(costs: list[Cost], baseline: dict[str, float]) -> list[str]:
    """Return the table: each cost on this machine, and its ratio to the baseline, independent of machine speed."""
    if not costs:
        return ["none was taken"]
    width = max(len(cost.name) for cost in costs)
    lines = [f"{'':{width}}  {'measured':>18}  {'x baseline':>10}"]
    for cost in costs:
        before = baseline.get(cost.name)
        ratio = f"{cost.relative / before:.2f}" if before else "new"
        lines.append(f"{cost.name:{width}}  {_rounded(cost.value):>9g} {cost.unit:<8}  {ratio:>10}")
    return lines


def _rounded(value: float) -> float:
    """Round to three significant digits, the precision of a measurement."""
    return float(f"{value:.3g}")
