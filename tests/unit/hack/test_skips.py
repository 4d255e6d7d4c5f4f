"""The last line of a test run: skipped tests with their reasons; in CI, a skip is a failure."""

from __future__ import annotations

import pytest

from tests.paths import ROOT

pytest_plugins = ["pytester"]

FILE = """
import pytest

def test_passes(): pass

@pytest.mark.xfail(strict=True)
def test_fails_as_expected(): assert False

@pytest.mark.parametrize("number", [1, 2])
def test_is_skipped(number): pytest.skip("there is no moon")
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with skips, in a separate test run."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_a=FILE, test_b="import pytest\npytest.skip('not on Mars', allow_module_level=True)")
    return pytester


def test_the_last_line_has_every_reason_with_its_number(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped modules count, too; an expected failure does not."""
    monkeypatch.delenv("CI", raising=False)
    result = run.runpytest_subprocess("-p", "hack.skips")
    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[-1] == "skipped: 2 because there is no moon; 1 because not on Mars"
    assert "1 passed" in result.outlines[-2]


def test_ci_accepts_no_skip(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, a tier that does not run would look like one that passes."""
    monkeypatch.setenv("CI", "true")
    assert run.runpytest_subprocess("-p", "hack.skips").ret == pytest.ExitCode.TESTS_FAILED
    nothing_skipped = run.runpytest_subprocess("-p", "hack.skips", "test_a.py", "-k", "passes or fails")
    assert nothing_skipped.ret == pytest.ExitCode.OK
    assert nothing_skipped.outlines[-1] == "skipped: nothing"
