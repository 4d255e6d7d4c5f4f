"""Errors of `python -m training`."""

from __future__ import annotations

import sys

import pytest

from training.__main__ import main


def test_a_missing_torch_is_reported_with_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment of the demo does not contain torch."""
    monkeypatch.delitem(sys.modules, "training.digits", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["digits"]) == 2
    assert capsys.readouterr().err == "error: training needs the package torch: pip install '.[training]'\n"


def test_an_unknown_model_is_reported_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the valid names."""
    with pytest.raises(SystemExit) as stop:
        main(["digit"])
    assert stop.value.code == 2
    assert "digits" in capsys.readouterr().err.splitlines()[-1].split("choose from")[1]
