"""Distribute the tests to worker processes, and report what they measured and how long each tier took.

Used by pytest-xdist (`make test`, `make check`). Files of a tier in `TOGETHER` share a server, such as the node, which
exists once on a machine: one worker runs them all. The files of the other tiers are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import NodeManager

TOGETHER = frozenset({"apiserver", "browser", "e2e", "local", "proxy", "sources"})
_MEASUREMENT = "measurement"
_STOP_SECONDS = 60


def tier(node_id: str) -> str:
    """Return the tier of a test, such as `e2e` for `tests/e2e/test_sdk.py::test_a`."""
    return node_id.removeprefix("tests/").partition("/")[0]


def work_unit(node_id: str) -> str:
    """Return what one worker runs as a whole: the tier, if its tests share a server, else the file."""
    return tier(node_id) if tier(node_id) in TOGETHER else node_id.partition("::")[0]


class TierScheduling(LoadScopeScheduling):  # type: ignore[misc]  # It has no types.
    """Assigns whole work units, in the order of `testpaths`: the longest tier first."""

    def _split_scope(self, nodeid: str) -> str:
        return work_unit(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TierScheduling:
    """Replace the scheduler of pytest-xdist, and let an interrupted worker stop its servers before it is killed."""
    NodeManager.EXIT_TIMEOUT = _STOP_SECONDS
    config.option.loadscopereorder = False
    return TierScheduling(config, log)


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that adds a line to the measurements, which pytest prints after all tests."""
    return lambda line: record_property(_MEASUREMENT, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements and the time of each tier."""
    reports = [
        report
        for of_outcome in terminalreporter.stats.values()
        for report in of_outcome
        if isinstance(report, pytest.TestReport)
    ]
    lines = [*_measurements(reports), *_times(reports)]
    if lines:
        terminalreporter.section("measurements")
    for line in lines:
        terminalreporter.line(line)


def _measurements(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return the lines of each test after its name."""
    lines = []
    for report in reports:
        texts = [str(text) for name, text in report.user_properties if name == _MEASUREMENT]
        if report.when == "call" and texts:
            lines += [report.nodeid, *(f"  {line}" for text in texts for line in text.strip().splitlines())]
    return lines


def _times(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return the time of each tier in seconds, the sum over its tests, and nothing if only one tier ran."""
    seconds: dict[str, float] = {}
    for report in reports:
        seconds[tier(report.nodeid)] = seconds.get(tier(report.nodeid), 0.0) + report.duration
    return [f"{name:10} {time:7.0f} s" for name, time in seconds.items()] if len(seconds) > 1 else []
