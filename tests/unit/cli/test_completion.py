"""Shell completion: the scripts work in a real shell, and names come from the cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_cluster import FakeCluster
from tests.tritonctl import tritonctl
from triton_operator.cli import complete_plugin


@pytest.fixture
def digits(cluster: FakeCluster) -> FakeCluster:
    """A cluster with two deployments."""
    cluster.put("modeldeployments", *({"metadata": {"name": name}} for name in ("digits", "diabetes")))
    return cluster


def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """The output for kubectl's completion of the line `kubectl triton WORDS`."""
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-triton", *words])
    complete_plugin()
    return capsys.readouterr().out.splitlines()


def test_bash_completes_names_through_the_script(digits: FakeCluster, tmp_path: Path) -> None:
    """The script is sourced and its function called, as bash does when Tab is pressed.

    Other tests keep the machine busy, so two seconds may not suffice for the import of the client.
    """
    program = tmp_path / "tritonctl"
    program.write_text(
        f"#!{sys.executable}\nfrom triton_operator.cli import main\nfrom triton_operator.cli.cluster import names\n"
        "names.TIMEOUT_SECONDS = 60\nmain()\n"
    )
    program.chmod(0o755)
    line = (
        'eval "$(tritonctl completion bash)"; COMP_WORDS=(tritonctl status -n other dig); COMP_CWORD=4; '
        '_tritonctl_completion tritonctl; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "digits\n"
    assert "/namespaces/other/modeldeployments" in digits.requests[-1]


@pytest.mark.parametrize(
    ("shell", "registers"), [("zsh", "#compdef tritonctl"), ("fish", "complete --command tritonctl")]
)
def test_other_shells_get_a_script_of_their_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str, registers: str
) -> None:
    """The shell parses it, if it is installed."""
    outcome = tritonctl(capsys, "completion", shell)
    assert outcome.code == 0
    assert outcome.out.startswith(registers)
    if program := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(outcome.out)
        subprocess.run([program, "-n", script], check=True)


def test_kubectl_gets_commands_options_and_names(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their descriptions, and the directive not to complete file names."""
    assert ask(capsys, monkeypatch, "status", "di") == ["diabetes", "digits", ":4"]
    commands = ask(capsys, monkeypatch, "")
    assert any(line.startswith("status\tShow whether") for line in commands)
    assert any(line.startswith("--wait\t") for line in ask(capsys, monkeypatch, "status", "--w"))
    assert ask(capsys, monkeypatch, "render", "-f", "") == [":0"]


def test_a_cluster_that_does_not_answer_completes_nothing(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not print anything over the command line either."""
    digits.fail("modeldeployments", 503, "no endpoints")
    assert ask(capsys, monkeypatch, "status", "") == [":0"]
    assert capsys.readouterr().err == ""


def test_a_slow_cluster_is_not_waited_for(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The completion times out."""
    digits.hang("modeldeployments")
    monkeypatch.setattr("triton_operator.cli.cluster.names.TIMEOUT_SECONDS", 0.2)
    assert ask(capsys, monkeypatch, "status", "") == [":0"]


def test_contexts_are_those_of_the_kubeconfig(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster receives no request."""
    assert ask(capsys, monkeypatch, "status", "--context", "") == ["here", ":4"]
    assert cluster.requests == []


def test_namespaces_are_those_of_the_cluster(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In alphabetical order."""
    cluster.put("namespaces", *({"metadata": {"name": name}} for name in ("models", "default", "mine")))
    assert ask(capsys, monkeypatch, "status", "-n", "m") == ["mine", "models", ":4"]


def test_without_a_kubeconfig_nothing_is_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is no output."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert ask(capsys, monkeypatch, "status", "") == [":0"]
