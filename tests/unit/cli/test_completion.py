"""Completion in shells: scripts that a real shell reads, and names that the cluster knows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_kubectl import FakeKubectl
from tests.tritonctl import tritonctl
from triton_operator.cli import complete_plugin

NAMES = "modeldeployment.triton-operator.io/digits\nmodeldeployment.triton-operator.io/diabetes\n"


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """A cluster with two deployments."""
    kubectl = FakeKubectl.install(tmp_path, monkeypatch)
    (tmp_path / "get-modeldeployments").write_text(NAMES)
    return kubectl


def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What kubectl is told about the line `kubectl triton WORDS`."""
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-triton", *words])
    complete_plugin()
    return capsys.readouterr().out.splitlines()


def test_bash_completes_names_through_the_script(kubectl: FakeKubectl, tmp_path: Path) -> None:
    """The script is sourced and its function called, as bash does at the key."""
    program = tmp_path / "tritonctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m triton_operator.cli "$@"\n')
    program.chmod(0o755)
    line = (
        'eval "$(tritonctl completion bash)"; COMP_WORDS=(tritonctl status -n models dig); COMP_CWORD=4; '
        '_tritonctl_completion tritonctl; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "digits\n"
    assert "--namespace models" in kubectl.calls[-1]
    assert "--request-timeout=2s" in kubectl.calls[-1]


@pytest.mark.parametrize(
    ("shell", "registers"), [("zsh", "#compdef tritonctl"), ("fish", "complete --command tritonctl")]
)
def test_other_shells_get_a_script_of_their_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str, registers: str
) -> None:
    """Read by the shell itself where it is installed."""
    outcome = tritonctl(capsys, "completion", shell)
    assert outcome.code == 0
    assert outcome.out.startswith(registers)
    if program := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(outcome.out)
        subprocess.run([program, "-n", script], check=True)


def test_kubectl_gets_commands_options_and_names(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what they mean, and word that files would be wrong."""
    assert ask(capsys, monkeypatch, "status", "di") == ["diabetes", "digits", ":4"]
    commands = ask(capsys, monkeypatch, "")
    assert any(line.startswith("status\tShow whether") for line in commands)
    assert any(line.startswith("--wait\t") for line in ask(capsys, monkeypatch, "status", "--w"))
    assert ask(capsys, monkeypatch, "render", "-f", "") == [":0"]


def test_a_cluster_that_does_not_answer_completes_nothing(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it write over the line that is being typed."""
    kubectl.fail("get-modeldeployments", "Unable to connect to the server\n")
    assert ask(capsys, monkeypatch, "status", "") == [":0"]
    assert capsys.readouterr().err == ""


def test_a_slow_cluster_is_not_waited_for(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key gives up; the program that hangs is ended."""
    (kubectl.folder / "kubectl").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr("triton_operator.cli.kubectl.names.PATIENCE_SECONDS", 0.2)
    assert ask(capsys, monkeypatch, "status", "") == [":0"]


def test_without_kubectl_nothing_is_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And nothing is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(capsys, monkeypatch, "status", "") == [":0"]
