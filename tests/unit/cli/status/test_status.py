"""`tritonctl status`: first whether it is Ready, then the reasons, and an exit status for scripts."""

from __future__ import annotations

import copy
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_cluster import FakeCluster, write_kubeconfig
from tests.tritonctl import tritonctl

SENTENCE = "failed to load 'digits' version 1: Internal: PytorchStreamReader failed [finding] central directory"
POD: dict[str, Any] = {
    "metadata": {"name": "digits-5d-x"},
    "spec": {"nodeName": "node"},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def deployment(ready: str, reason: str, message: str, *, generation: int = 2, observed: int = 2) -> dict[str, Any]:
    """A ModelDeployment with one Ready condition."""
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": message,
        "newField": "of a newer operator",
    }
    model = {"name": "digits", "state": "Ready" if ready == "True" else "Failed", "versions": ["1"], "message": message}
    return {
        "metadata": {"name": "digits", "namespace": "models", "generation": generation},
        "spec": {"models": [{"name": "digits"}]},
        "status": {
            "observedGeneration": observed,
            "replicas": 1,
            "readyReplicas": int(ready == "True"),
            "conditions": [condition],
            "models": [model],
            "endpoints": {"http": "digits.models.svc:8000", "grpc": "digits.models.svc:8001"},
        },
    }


SERVING = deployment("True", "Serving", "1 of 1 replicas serve 1 model.")
BROKEN = deployment("False", "ModelLoadFailed", SENTENCE)


def test_ready_is_exit_status_0(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line is the answer; there are no colours in a pipe."""
    cluster.answer(SERVING, [POD])
    outcome = tritonctl(capsys, "status", "digits", "-n", "models")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "models/digits  Ready  Serving"
    assert "digits-5d-x" in outcome.out
    assert "digits.models.svc:8001" in outcome.out
    assert "\033" not in outcome.out


def test_not_ready_is_exit_status_1_and_says_why(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Triton's message is not truncated, and its brackets are not interpreted as markup."""
    cluster.answer(BROKEN)
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 1
    assert outcome.out.startswith(f"models/digits  Not ready  ModelLoadFailed\n{SENTENCE}\n")
    assert outcome.err == "error: models/digits is not Ready: ModelLoadFailed\n"


def test_addresses_of_a_load_balancer_are_shown(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    body = copy.deepcopy(SERVING)
    body["status"]["endpoints"]["external"] = ["http://203.0.113.7:80", "grpc://203.0.113.7:8001"]
    cluster.answer(body)
    assert (
        "http://203.0.113.7:80   grpc://203.0.113.7:8001   (from outside)" in tritonctl(capsys, "status", "digits").out
    )


CONTROLS = [
    {"name": "NetworkPolicy", "state": "Enforced", "message": "NetworkPolicy digits admits nobody"},
    {"name": "Audit", "state": "NotEnforced", "message": "spec.privacy.audit is Off", "required": False},
]


def test_privacy_controls_are_listed(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    body = copy.deepcopy(SERVING)
    body["status"]["privacy"] = {"controls": CONTROLS}
    cluster.answer(body)
    lines = [line.split() for line in tritonctl(capsys, "status", "digits").out.splitlines()]
    at = lines.index(["PRIVACY", "CONTROL", "STATE", "REQUIRED", "MESSAGE"])
    assert lines[at + 1][:3] == ["NetworkPolicy", "Enforced", "yes"]
    assert lines[at + 2][:3] == ["Audit", "NotEnforced", "no"]
    assert json.loads(tritonctl(capsys, "status", "digits", "-o", "json").out)["controls"] == CONTROLS


def test_a_deployment_without_privacy_controls_has_no_table_of_them(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answer(SERVING)
    assert "PRIVACY" not in tritonctl(capsys, "status", "digits").out


def test_a_cache_shows_its_progress(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The Job is found by the claim's name."""
    body = deployment("False", "Caching", "a Job fetches the models")
    body["status"]["cache"] = {"claimName": "digits-cache-1", "state": "Filling", "since": "2026-01-02T03:04:05Z"}
    cluster.answer(body)
    outcome = tritonctl(capsys, "status", "digits")
    assert "Cache digits-cache-1: Filling since 2026-01-02T03:04:05Z" in outcome.out


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_output_can_be_json_or_yaml(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], form: str, load: Any
) -> None:
    """Both have the same content, for Ready and not Ready."""
    cluster.answer(BROKEN, [POD])
    outcome = tritonctl(capsys, "status", "digits", "-o", form)
    data = load(outcome.out)
    assert outcome.code == 1
    assert (data["ready"], data["reason"], data["message"]) == (False, "ModelLoadFailed", SENTENCE)
    assert data["models"][0]["state"] == "Failed"
    assert data["pods"] == [
        {"name": "digits-5d-x", "ready": True, "state": "Running", "restarts": 0, "node": "node", "message": ""}
    ]


def test_a_condition_of_an_older_spec_does_not_count(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Immediately after an apply, the old Ready=True still exists."""
    cluster.answer(deployment("True", "Serving", "", generation=3, observed=2))
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 1
    assert "Outdated" in outcome.out


def test_an_operator_that_does_not_run_is_suspected(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the most common problem without a status."""
    untouched = copy.deepcopy(SERVING)
    del untouched["status"]
    cluster.answer(untouched)
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 1
    assert "is it running" in outcome.out


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"status": {"phase": "Pending"}}, "Pending"),
        ({"metadata": {"name": "p", "deletionTimestamp": "now"}}, "Terminating"),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, "Evicted"),
        (
            {
                "status": {
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
                }
            },
            "Unschedulable",
        ),
        (
            {
                "status": {
                    "initContainerStatuses": [
                        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no [such] image"}}}
                    ]
                }
            },
            "ImagePullBackOff",
        ),
        (
            {
                "status": {
                    "phase": "Pending",
                    "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
                }
            },
            "Pending",
        ),
    ],
)
def test_a_pod_shows_its_problem(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], change: dict[str, Any], state: str
) -> None:
    """Its first problem, not only its phase."""
    cluster.answer(BROKEN, [{**POD, **change}])
    assert json.loads(tritonctl(capsys, "status", "digits", "-o", "json").out)["pods"][0]["state"] == state


def test_waiting_prints_each_reason_once_and_ends_with_ready(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch stays open, and the command does not wait for its end."""
    rolling = deployment("False", "RollingOut", "0 of 1 replicas are ready.")
    cluster.answer(rolling)
    cluster.watch(rolling, rolling, BROKEN, SERVING, BROKEN)
    outcome = tritonctl(capsys, "status", "digits", "--wait", 60)
    assert outcome.err.splitlines()[:2] == ["RollingOut: 0 of 1 replicas are ready.", f"ModelLoadFailed: {SENTENCE}"]
    assert outcome.code == 0
    assert "watch=true" in " ".join(cluster.requests)


def test_without_permission_to_watch_it_polls_with_growing_pauses(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """The earliest requests are at 0, 0.25 and 0.75 s."""
    cluster.answer(BROKEN)
    cluster.fail("watch modeldeployments", 403, "cannot watch")
    outcome = tritonctl(capsys, "status", "digits", "--wait", 1)
    assert outcome.code == 1
    assert 2 <= sum("watch=true" in request for request in cluster.requests) <= 3


def test_waiting_ends_with_its_time(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The last output is the state at that time."""
    cluster.answer(BROKEN)
    cluster.fail("watch modeldeployments", 403, "")
    outcome = tritonctl(capsys, "status", "digits", "--wait", 0.2)
    assert outcome.code == 1
    assert "ModelLoadFailed" in outcome.out


@pytest.mark.parametrize(
    ("failure", "code", "says"),
    [
        ((404, 'modeldeployments.triton-operator.io "digits" not found'), 1, "kubectl get modeldeployments"),
        ((403, 'modeldeployments is forbidden: User "me" cannot get'), 1, 'User "me" cannot get'),
        ((401, "Unauthorized"), 1, "log in"),
        ((500, "etcdserver: request timed out"), 3, "etcdserver: request timed out"),
        ((418, "something new"), 1, "something new"),
    ],
)
def test_an_error_of_the_api_server_becomes_one_line_and_an_exit_status(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], failure: tuple[int, str], code: int, says: str
) -> None:
    """A failing API server is distinguished from one that rejects the request."""
    cluster.fail("modeldeployments", *failure)
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == code
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_cluster_without_the_crd_is_distinguished(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Its API server does not have the path."""
    cluster.fail("modeldeployments", 404, "404 page not found")
    outcome = tritonctl(capsys, "status")
    assert outcome.code == 1
    assert "install the chart" in outcome.err


@pytest.mark.parametrize(
    ("kubeconfig", "arguments", "says"),
    [
        ({"server": "http://127.0.0.1:1"}, [], "Connection refused"),
        ({"server": "http://127.0.0.1:1"}, ["--context", "x"], "--context"),
        ({"server": "http://127.0.0.1:1"}, ["--kubeconfig", "/none"], "KUBECONFIG"),
        ({"server": "https://127.0.0.1:1", "certificate-authority": "/none"}, [], "/none"),
    ],
)
def test_an_unreachable_cluster_is_exit_status_3(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: dict[str, str],
    arguments: list[str],
    says: str,
) -> None:
    """The message is one line with advice."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, "", **kubeconfig)))
    outcome = tritonctl(capsys, "status", "digits", *arguments)
    assert outcome.code == 3
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_silent_api_server_is_a_timeout(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts connections, and does not respond."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("triton_operator.sdk.kubernetes_client.REQUEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, url)))
        outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 3
    assert "timed out" in outcome.err
