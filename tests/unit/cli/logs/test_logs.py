"""`tritonctl logs`: which containers it selects, the prefix of lines, and how following works and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_cluster import FakeCluster
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
def digits(cluster: FakeCluster) -> FakeCluster:
    """A cluster with two pods of digits, whose containers wrote one line each."""
    cluster.answer(
        {"metadata": {"name": "digits", "namespace": "models"}, "spec": {}}, [pod("digits-a"), pod("digits-b")]
    )
    for name in ("digits-a", "digits-b", "digits-c"):
        for container in ("prepare", "triton"):
            cluster.log(name, container, f"{container} of {name} [x/y]\n")
    return cluster


def test_lines_have_a_prefix_with_their_source(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The prefix is short, because the deployment's name is known."""
    outcome = tritonctl(capsys, "logs", "digits", "-n", "models", "--since", "10m", "--tail", 5)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "a prepare | prepare of digits-a [x/y]",
        "b prepare | prepare of digits-b [x/y]",
        "a triton | triton of digits-a [x/y]",
        "b triton | triton of digits-b [x/y]",
    ]
    assert "/namespaces/models/pods/digits-b/log?container=triton&sinceSeconds=600&tailLines=5" in digits.requests[-1]


def test_one_source_needs_no_prefix(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """So that other programs can process the lines."""
    outcome = tritonctl(capsys, "logs", "digits", "--pod", "digits-b", "-c", "triton")
    assert outcome.out == "triton of digits-b [x/y]\n"


def test_the_audit_log_is_printed_only_on_request(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    private = pod("digits-a")
    private["status"]["initContainerStatuses"].append({"name": "proxy", "containerID": "digits-a-x", "state": RUNS})
    digits.put("pods", private)
    digits.log("digits-a", "proxy", '{"status":200}\n')
    assert "200" not in tritonctl(capsys, "logs", "digits").out
    assert tritonctl(capsys, "logs", "digits", "-c", "proxy").out == '{"status":200}\n'


def test_containers_that_have_not_started_are_left_out(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The API server has no log of them."""
    digits.put("pods", pod("digits-a", triton=WAITS), pod("digits-b", prepare=WAITS, triton=WAITS))
    assert tritonctl(capsys, "logs", "digits").out == "prepare of digits-a [x/y]\n"


def test_a_crashed_container_shows_its_last_log(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """It waits for its restart and has a log; `--previous` selects the run before it."""
    crashed = pod("digits-a", triton={"waiting": {"reason": "CrashLoopBackOff"}}, terminated={"exitCode": 1})
    digits.put("pods", crashed)
    assert "triton of digits-a" in tritonctl(capsys, "logs", "digits", "-c", "triton").out
    assert tritonctl(capsys, "logs", "digits", "--previous").out == "triton of digits-a [x/y]\n"
    assert digits.requests[-1].endswith("previous=true")


@pytest.mark.parametrize(
    ("arguments", "pods", "code", "says"),
    [
        (["--pod", "other"], [pod("digits-a")], 2, "--pod: digits has no pod other; its pods are: digits-a"),
        (["--since", "yesterday"], [], 2, "--since: 'yesterday' is not a duration"),
        (["-f", "--previous"], [], 2, "--previous"),
        ([], [], 1, "digits has no pods; run `tritonctl status digits` to see why"),
        (["--previous"], [pod("digits-a")], 1, "has restarted"),
        (["-c", "proxy"], [pod("a")], 1, "the pods of digits have no container proxy; theirs are: prepare, triton"),
        ([], [pod("a", prepare=PULLS, triton=WAITS)], 1, "started yet (ImagePullBackOff)"),
    ],
)  # fmt: skip
def test_missing_logs_are_reported_with_advice(
    digits: FakeCluster,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    pods: list[dict[str, Any]],
    code: int,
    says: str,
) -> None:
    """The message says what to do."""
    digits.put("pods", *pods)
    outcome = tritonctl(capsys, "logs", "digits", *arguments)
    assert outcome.code == code
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_missing_deployment_differs_from_one_without_pods(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of pods is empty for both."""
    digits.put("pods")
    digits.put("modeldeployments")
    assert "not found" in tritonctl(capsys, "logs", "digits").err


def wait_for(look: Callable[[], bool]) -> None:
    """Wait up to ten seconds until the condition holds."""
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end, "not within a minute"
        time.sleep(0.02)


def test_following_includes_new_pods_and_ends_with_ctrl_c(digits: FakeCluster, tmp_path: Path) -> None:
    """It ends immediately, and leaves no stream open."""
    late = pod("digits-c", prepare=RUNS, triton=WAITS)
    digits.watch(pod("digits-a"), late, plural="pods")
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


def test_following_ends_when_nobody_reads(digits: FakeCluster) -> None:
    """`| head -1` closes the pipe after one line."""
    line = f"{sys.executable} -m triton_operator.cli logs digits -f | head -1"
    digits.log("digits-a", "prepare", "x\n" * 20000)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
