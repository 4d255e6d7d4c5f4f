"""A pytest plugin: the last line of a run says what was skipped and why, and CI accepts no skip.

Loaded by pyproject.toml for every run. Input: test reports. Output: one line after pytest's own summary, and exit
status 1 under CI=true when anything was skipped: a tier that silently does not run looks like one that passes.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

_skipped: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember the reason of a skipped test; an expected failure is none."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped[_reason(report)] += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember the reason of a whole module that was skipped."""
    if report.skipped:
        _skipped[_reason(report)] += 1


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a success with skips into a failure where nothing may be skipped."""
    if exitstatus == pytest.ExitCode.OK and _skipped and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the line, after all that pytest prints itself."""
    if not config.option.collectonly and not hasattr(config, "workerinput"):
        print(describe(_skipped))


def describe(skipped: Counter[str]) -> str:
    """Put reasons and their numbers into one line."""
    if not skipped:
        return "skipped: nothing"
    return "skipped: " + "; ".join(f"{number} because {reason}" for reason, number in skipped.most_common())


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Take the words of `pytest.skip(…)` out of the report: (file, line, "Skipped: words")."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
