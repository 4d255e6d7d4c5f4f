"""How `tritonctl` starts and ends: quickly, with help, without tracebacks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tritonctl import tritonctl
from triton_operator import __version__

HEAVY = ("numpy", "tritonclient", "grpc", "rich", "yaml", "kubernetes", "kopf", "aiohttp", "torch")


def test_help_loads_nothing_heavy() -> None:
    """Half a second for numpy and as much for tritonclient would be felt at each completion and each typing mistake."""
    code = (
        "import sys; sys.argv = ['tritonctl', '--help']\n"
        "from triton_operator.cli.app import run\n"
        f"assert run() == 0\nprint(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("command", ["render", "status", "infer"])
def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """`-h` works like `--help`."""
    outcome = tritonctl(capsys, command, "-h")
    assert outcome.code == 0
    assert f"  tritonctl {command} " in outcome.out
    assert "Exit status" in outcome.out or command == "render"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, for scripts."""
    assert tritonctl(capsys, "--version") == (0, f"tritonctl {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["status"], ["infer", "x"], ["status", "x", "-o", "xml"], ["render"]]
)
def test_wrong_usage_is_exit_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """The usage is shown, and no traceback."""
    outcome = tritonctl(capsys, *arguments)
    assert outcome.code == 2
    assert "Usage: tritonctl" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_mistake_of_ours_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hiding it would only make it harder to mend."""
    monkeypatch.setattr("triton_operator.sdk.kubectl.Kubectl.deployment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tritonctl(capsys, "status", "digits")
