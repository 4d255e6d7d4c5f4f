"""`hack.preflight`: problems of the machine are reported before anything on it is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack import preflight
from hack.cluster.native.preflight import NodeMachine
from tests.paths import ROOT

GOOD = NodeMachine(user_id=0, capabilities=-1, free_disk=100, memory=16, cache=Path("/home/ada/cache"), built=False)
WORSE = {"user_id": 1000, "free_disk": 2.0}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Changes to a suitable machine without a node; the cache folder does not exist yet."""
    change: dict[str, object] = {}
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLUSTER", "native")
    monkeypatch.setattr(
        "hack.cluster.native.preflight.look", lambda *_, **__: NodeMachine(**{**GOOD.__dict__, **change})
    )
    return change


def test_a_suitable_machine_passes(machine: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    """Without output."""
    assert [preflight.main([command]) for command in preflight.COMMANDS] == [0, 0]
    assert capsys.readouterr().err == ""


def test_the_demo_is_refused_with_everything_that_is_wrong(
    machine: dict[str, object], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing was created, not even the cache folder."""
    machine |= WORSE
    assert preflight.main(["demo"]) == 1
    stderr = capsys.readouterr().err
    assert "run it with `sudo -E`" in stderr
    assert "2.0 GiB free, but 12 GiB are required" in stderr
    assert list(tmp_path.iterdir()) == []


def test_the_tests_continue_and_report_what_will_be_skipped(
    machine: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """All tiers but one run on any machine."""
    machine |= WORSE
    assert preflight.main(["test"]) == 0
    assert "tests/e2e will be skipped" in capsys.readouterr().err


def test_using_a_running_node_requires_only_permissions(
    machine: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its disk space is in use already."""
    monkeypatch.setattr("hack.cluster.running", object)
    machine |= WORSE
    assert preflight.main(["demo"]) == 1
    stderr = capsys.readouterr().err
    assert "sudo -E" in stderr
    assert "GiB" not in stderr


def test_an_unknown_cluster_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As in later steps."""
    monkeypatch.setenv("CLUSTER", "minikube")
    assert preflight.main(["demo"]) == 1
    assert "CLUSTER=minikube is not a kind of cluster" in capsys.readouterr().err


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    """`-S` excludes all installed packages; the result for this machine does not matter."""
    environment = {**os.environ, "TRITON_OPERATOR_CACHE": str(tmp_path / "cache"), "CLUSTER": "native"}
    command = [sys.executable, "-S", "-m", "hack.preflight", "test"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("target", ["demo", "cluster-up", "test", "e2e"])
def test_make_checks_before_it_creates_an_environment(target: str) -> None:
    """It is the first command of each target that needs a node."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", target]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert " -m hack.preflight " in done.stdout.splitlines()[0]
