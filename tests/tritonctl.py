"""Runs `tritonctl` in the test's process and returns what a shell would see."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from triton_operator.cli.app import run


class Outcome(NamedTuple):
    """Exit status, standard output, standard error."""

    code: int
    out: str
    err: str


def tritonctl(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run the command with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tritonctl", *map(str, arguments)])
        code = run()
    return Outcome(code, *capsys.readouterr())
