"""How tests are distributed to workers, and what is printed after them."""

from __future__ import annotations

import pytest

from tests.paths import ROOT
from tests.tiers import TOGETHER, work_unit

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("tier", sorted(TOGETHER))
def test_a_tier_that_shares_a_server_stays_together(tier: str) -> None:
    assert work_unit(f"tests/{tier}/test_a.py::test_one") == work_unit(f"tests/{tier}/test_b.py::test_two[x::y/z]")


def test_other_tiers_are_distributed_by_file() -> None:
    tests = ("api/test_a.py::test_one", "api/test_a.py::test_two", "api/test_b.py::test_one")
    first, same, other = (work_unit(f"tests/unit/{test}") for test in tests)
    assert first == same != other


def test_measurements_and_times_follow_the_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for tier in ("one", "two"):
        file = pytester.path / "tests" / tier / f"test_{tier}.py"
        file.parent.mkdir(parents=True)
        file.write_text(f"def test_{tier}(measured):\n    measured('{tier} requests')\n")
    result = pytester.runpytest_subprocess("-p", "tests.tiers", "--numprocesses=2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["  one requests", "  two requests", "one * s", "two * s"])
