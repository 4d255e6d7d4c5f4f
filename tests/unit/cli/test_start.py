"""`tritonctl` starts quickly, prints help, and ends without tracebacks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator import __version__
from triton_operator.cli import plugin
from triton_operator.cli.commands import COMMANDS, PACKAGES, command_module, load

HEAVY = ("numpy", "PIL", "tritonclient", "grpc", "rich", "yaml", "kubernetes", "kopf", "aiohttp", "torch")
MOST_MODULES = 320
"""With the interpreter's own; 250 were there when this was written, numpy alone brings 150."""


def test_help_loads_nothing_heavy() -> None:
    """Importing numpy takes half a second, and so does tritonclient, at each completion and each typo."""
    code = (
        "import sys; sys.argv = ['tritonctl', '--help']\n"
        "from triton_operator.cli.app import run\n"
        "assert run() == 0\nprint(*sys.modules, file=sys.stderr)"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    )
    assert set(HEAVY) & loaded == set()
    commands = {f"triton_operator.cli.{name}{'.command' * (name in PACKAGES)}": name for name in COMMANDS}
    assert {name for module, name in commands.items() if module in loaded} <= {"completion"}
    assert len(loaded) <= MOST_MODULES


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_module_with_a_function_of_its_name(name: str) -> None:
    """It also has an example."""
    assert load(name).name == name
    assert f"  tritonctl {name} " in command_module(name).EPILOG


def test_the_plugin_uses_the_name_that_users_type(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the usage and in the examples."""
    monkeypatch.setattr(sys, "argv", ["kubectl-triton", "status", "--help"])
    with pytest.raises(SystemExit) as end:
        plugin()
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert "Usage: kubectl triton status" in out
    assert "  kubectl triton status digits" in out
    assert "tritonctl" not in out


def test_the_programs_are_installed_under_the_names_that_kubectl_looks_for() -> None:
    """`kubectl-NAME` is a plugin, `kubectl_complete-NAME` its completion."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl-triton"] == "triton_operator.cli:plugin"
    assert scripts["kubectl_complete-triton"] == "triton_operator.cli:complete_plugin"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """`-h` works like `--help`."""
    outcome = tritonctl(capsys, command, "-h")
    assert outcome.code == 0
    assert f"  tritonctl {command} " in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_values_without_python_types(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Angle brackets enclose choices only, and the usage has no braces."""
    usage, _, rest = tritonctl(capsys, command, "--help").out.partition("\n\n")
    in_brackets = re.findall(r"^  .*?<(.+?)>", rest.partition("Examples:")[0], re.MULTILINE)
    assert "{" not in usage
    assert [value for value in in_brackets if "|" not in value] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, for scripts."""
    assert tritonctl(capsys, "--version") == (0, f"tritonctl {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["infer"], ["logs"], ["status", "x", "-o", "xml"], ["render"], ["completion", "ksh"]],
)
def test_wrong_usage_is_exit_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """The usage is printed, without a traceback."""
    outcome = tritonctl(capsys, *arguments)
    assert outcome.code == 2
    assert "Usage: tritonctl" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hiding it would only make it harder to fix."""
    monkeypatch.setattr("triton_operator.sdk.kubernetes_client.KubernetesClient.get", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tritonctl(capsys, "status", "digits")
