"""A pytest plugin that lists skipped tests with their reasons in the last line, and fails a CI run with skipped tests.

pyproject.toml loads it for every run. Input: test reports. Output: one line after pytest's summary, and exit status 1
if CI=true and a test was skipped, because a tier that is skipped silently looks like one that passes.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

_skipped: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the reason of a skipped test; an expected failure is not a skip."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped[_reason(report)] += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record the reason of a skipped module."""
    if report.skipped:
        _skipped[_reason(report)] += 1


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a successful run in CI if tests were skipped."""
    if exitstatus == pytest.ExitCode.OK and _skipped and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the line after all output of pytest."""
    if not config.option.collectonly and not hasattr(config, "workerinput"):
        print(describe(_skipped))


def describe(skipped: Counter[str]) -> str:
    """Format the reasons and their counts as one line."""
    if not skipped:
        return "skipped: nothing"
    return "skipped: " + "; ".join(f"{number} because {reason}" for reason, number in skipped.most_common())


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Extract the reason of `pytest.skip(…)` from the report: (file, line, "Skipped: reason")."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
