"""`python -m training`: what it says when it cannot work."""

from __future__ import annotations

import sys

import pytest

from training.__main__ import main


def test_without_torch_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo's environment has no torch in it."""
    monkeypatch.delitem(sys.modules, "training.digits", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["digits"]) == 2
    assert capsys.readouterr().err == "error: training needs the package torch: pip install '.[training]'\n"


def test_an_unknown_model_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake costs no second look."""
    with pytest.raises(SystemExit) as stop:
        main(["digit"])
    assert stop.value.code == 2
    assert "digits" in capsys.readouterr().err.splitlines()[-1].split("choose from")[1]
