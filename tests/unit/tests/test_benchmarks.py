"""Benchmarks are compared with a baseline independently of the machine's speed, and never fail a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import costs as plugin
from tests.benchmarks.costs import BASELINE, Cost, Costs, Scale, table
from tests.benchmarks.reference import Sample
from tests.paths import ROOT

PYPROJECT = ROOT / "pyproject.toml"
BENCH = ["-p", "tests.benchmarks.costs", "-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"]


def measured_at(slowness: float, monkeypatch: pytest.MonkeyPatch) -> list[Cost]:
    """The results of a benchmark of 8 CPU-ms, 20 ms and 50 MB on a machine that is slower by this factor."""
    monkeypatch.setattr(plugin, "sample", lambda: Sample(cpu=10 * slowness, clock=11 * slowness))
    costs = Costs()
    costs.sample()
    costs.add("work", 8 * slowness, "CPU-ms", Scale.CPU)
    costs.add("wait", 20 * slowness, "ms", Scale.CLOCK)
    costs.add("memory", 50, "MB")
    return costs.results()


@pytest.mark.parametrize("slowness", [0.5, 1, 4])
def test_a_slower_machine_does_not_change_the_ratio(slowness: float, monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = {cost.name: cost.relative for cost in measured_at(1, monkeypatch)}
    lines = table(measured_at(slowness, monkeypatch), baseline)
    assert [line.split()[-1] for line in lines[1:]] == ["1.00", "1.00", "1.00"]


def test_the_ratio_shows_which_costs_increased(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cost that is missing in the baseline is new."""
    lines = table(measured_at(1, monkeypatch), {"work": 0.4, "memory": 100})
    assert [line.split()[-1] for line in lines[1:]] == ["2.00", "new", "0.50"]


def test_a_cost_above_the_baseline_fails_nothing(tmp_path: Path) -> None:
    """The run prints the ratio, and succeeds."""
    name = next(iter(json.loads(BASELINE.read_text())))
    (tmp_path / "bench_it.py").write_text(f"def bench_it(costs):\n    costs.add({name!r}, 1e12, 'MB')\n")
    run = _pytest(*BENCH, "--rootdir", str(tmp_path), "-c", str(PYPROJECT), str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    (line,) = [line for line in run.stdout.splitlines() if line.startswith(name)]
    assert float(line.split()[-1]) > 1000


def test_tests_and_benchmarks_exclude_each_other(tmp_path: Path) -> None:
    """They are in the same folders, because they share fixtures."""
    (tmp_path / "test_it.py").write_text("def test_it(): ...\n")
    (tmp_path / "bench_it.py").write_text("def bench_it(): ...\n")
    assert _collected(tmp_path) == ["test_it"]
    assert _collected(tmp_path, *BENCH) == ["bench_it"]


def _collected(folder: Path, *options: str) -> list[str]:
    listed = _pytest("--collect-only", "-q", *options, "--rootdir", str(folder), "-c", str(PYPROJECT), str(folder))
    return [line.rpartition("::")[2] for line in listed.stdout.splitlines() if "::" in line]


def _pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
