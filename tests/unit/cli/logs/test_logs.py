"""`tritonctl logs`: of which containers, with which prefix, and how following begins, goes on and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_kubectl import FakeKubectl
from tests.tritonctl import tritonctl

RUNS: dict[str, Any] = {"running": {}}
ENDED = {"terminated": {"exitCode": 0}}
PULLS = {"waiting": {"reason": "ImagePullBackOff"}}
WAITS = {"waiting": {"reason": "PodInitializing"}}


def pod(name: str, *, prepare: dict[str, Any] = ENDED, triton: dict[str, Any] = RUNS, **last: Any) -> dict[str, Any]:
    """A pod whose containers are in these states; `last` is the server's last state."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": name},
        "status": {
            "initContainerStatuses": [{"name": "prepare", "containerID": f"{name}-p", "state": prepare}],
            "containerStatuses": [
                {"name": "triton", "containerID": f"{name}-t", "state": triton, "lastState": last},
            ],
        },
    }


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """A cluster with two pods of digits, whose containers wrote one line each."""
    kubectl = FakeKubectl.install(tmp_path, monkeypatch)
    kubectl.answer(
        {"metadata": {"name": "digits", "namespace": "models"}, "spec": {}}, [pod("digits-a"), pod("digits-b")]
    )
    for name in ("digits-a", "digits-b", "digits-c"):
        for container in ("prepare", "triton"):
            kubectl.write(f"logs-{name}-{container}", f"[pod/{name}/{container}] {container} of {name} [x/y]\n")
    return kubectl


def test_lines_say_where_they_are_from(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """Shortly: the deployment's name is known."""
    outcome = tritonctl(capsys, "logs", "digits", "-n", "models", "--since", "10m", "--tail", 5)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "a prepare | prepare of digits-a [x/y]",
        "b prepare | prepare of digits-b [x/y]",
        "a triton | triton of digits-a [x/y]",
        "b triton | triton of digits-b [x/y]",
    ]
    assert "--namespace models --tail=5 --since=10m" in kubectl.calls[-1]


def test_one_source_needs_no_prefix(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """So that the lines can be worked on."""
    outcome = tritonctl(capsys, "logs", "digits", "--pod", "digits-b", "-c", "triton")
    assert outcome.out == "triton of digits-b [x/y]\n"


def test_containers_that_have_not_started_are_left_out(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kubectl's own selection would end with an error at the first of them."""
    kubectl.write(
        "get-pods", json.dumps({"items": [pod("digits-a", triton=WAITS), pod("digits-b", prepare=WAITS, triton=WAITS)]})
    )
    assert tritonctl(capsys, "logs", "digits").out == "prepare of digits-a [x/y]\n"


def test_a_crashed_container_shows_its_last_words(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """It waits for its next start, and its log is there; `--previous` is the run before."""
    crashed = pod("digits-a", triton={"waiting": {"reason": "CrashLoopBackOff"}}, terminated={"exitCode": 1})
    kubectl.write("get-pods", json.dumps({"items": [crashed]}))
    assert "triton of digits-a" in tritonctl(capsys, "logs", "digits", "-c", "triton").out
    assert tritonctl(capsys, "logs", "digits", "--previous").out == "triton of digits-a [x/y]\n"
    assert kubectl.calls[-1].endswith("--previous")


@pytest.mark.parametrize(
    ("arguments", "pods", "code", "says"),
    [
        (["--pod", "other"], [pod("digits-a")], 2, "--pod: digits has no pod other; its pods are: digits-a"),
        (["--since", "yesterday"], [], 2, "--since: 'yesterday' is not a duration"),
        (["-f", "--previous"], [], 2, "--previous"),
        ([], [], 1, "digits has no pods; run `tritonctl status digits` to see why"),
        (["--previous"], [pod("digits-a")], 1, "has restarted"),
        ([], [pod("a", prepare=PULLS, triton=WAITS)], 1, "started yet (ImagePullBackOff)"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_a_sentence(
    kubectl: FakeKubectl,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    pods: list[dict[str, Any]],
    code: int,
    says: str,
) -> None:
    """With what to do."""
    kubectl.write("get-pods", json.dumps({"items": pods}))
    outcome = tritonctl(capsys, "logs", "digits", *arguments)
    assert outcome.code == code
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_deployment_that_is_not_there_is_told_from_one_without_pods(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of pods is empty for both."""
    kubectl.write("get-pods", json.dumps({"items": []}))
    kubectl.fail("get-modeldeployments", 'Error from server (NotFound): modeldeployments "digits" not found\n')
    assert "not found" in tritonctl(capsys, "logs", "digits").err


def wait_for(look: Callable[[], bool]) -> None:
    """Until it is so, at most ten seconds."""
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.02)


def test_following_attends_to_new_pods_and_ends_with_ctrl_c(kubectl: FakeKubectl, tmp_path: Path) -> None:
    """No kubectl is left: each was asked to end and waited for."""
    late = pod("digits-c", prepare=RUNS, triton=WAITS)
    kubectl.write("get-pods-watch", "".join(json.dumps(each, indent=1) + "\n" for each in (pod("digits-a"), late)))
    command = [sys.executable, "-m", "triton_operator.cli", "logs", "digits", "-f"]
    output = tmp_path / "output"
    with (
        output.open("w") as stream,
        subprocess.Popen(command, stdout=stream, stderr=stream, process_group=0) as process,
    ):
        try:
            wait_for(lambda: len(output.read_text().splitlines()) >= 5)
        finally:
            os.kill(process.pid, signal.SIGINT)
            code = process.wait(timeout=60)
    assert sorted(output.read_text().splitlines()) == [
        "a prepare | prepare of digits-a [x/y]",
        "a triton | triton of digits-a [x/y]",
        "b prepare | prepare of digits-b [x/y]",
        "b triton | triton of digits-b [x/y]",
        "c prepare | prepare of digits-c [x/y]",
    ]
    assert code == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_following_ends_when_nobody_reads(kubectl: FakeKubectl) -> None:
    """`| head -1` has enough after a line."""
    line = f"{sys.executable} -m triton_operator.cli logs digits -f | head -1"
    kubectl.write("logs-digits-a-prepare", "[pod/digits-a/prepare] x\n" * 20000)
    kubectl.write("get-pods-watch", "")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
