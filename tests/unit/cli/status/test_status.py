"""`tritonctl status`: the answer first, the reasons after it, and an exit status that scripts can rely on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_kubectl import FakeKubectl
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


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """A cluster that answers what the test says."""
    return FakeKubectl.install(tmp_path, monkeypatch)


def test_ready_is_exit_status_0(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line is the answer; there are no colours in a pipe."""
    kubectl.answer(SERVING, [POD])
    outcome = tritonctl(capsys, "status", "digits", "-n", "models")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "models/digits  Ready  Serving"
    assert "digits-5d-x" in outcome.out
    assert "digits.models.svc:8001" in outcome.out
    assert "\033" not in outcome.out


def test_not_ready_is_exit_status_1_and_says_why(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """Triton's own sentence is not cut, and its brackets are no markup."""
    kubectl.answer(BROKEN)
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 1
    assert outcome.out.startswith(f"models/digits  Not ready  ModelLoadFailed\n{SENTENCE}\n")
    assert outcome.err == "error: models/digits is not Ready: ModelLoadFailed\n"


def test_a_cache_says_how_far_it_is(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """The claim's name leads to the Job, too."""
    body = deployment("False", "Caching", "a Job fetches the models")
    body["status"]["cache"] = {"claimName": "digits-cache-1", "state": "Filling", "since": "2026-01-02T03:04:05Z"}
    kubectl.answer(body)
    outcome = tritonctl(capsys, "status", "digits")
    assert "Cache digits-cache-1: Filling since 2026-01-02T03:04:05Z" in outcome.out


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_data(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], form: str, load: Any) -> None:
    """The same in both forms, for Ready and not Ready."""
    kubectl.answer(BROKEN, [POD])
    outcome = tritonctl(capsys, "status", "digits", "-o", form)
    data = load(outcome.out)
    assert outcome.code == 1
    assert (data["ready"], data["reason"], data["message"]) == (False, "ModelLoadFailed", SENTENCE)
    assert data["models"][0]["state"] == "Failed"
    assert data["pods"] == [
        {"name": "digits-5d-x", "ready": True, "state": "Running", "restarts": 0, "node": "node", "message": ""}
    ]


def test_an_answer_to_an_older_spec_is_no_answer(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """Right after an apply the old Ready=True is still there."""
    kubectl.answer(deployment("True", "Serving", "", generation=3, observed=2))
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 1
    assert "Outdated" in outcome.out


def test_an_operator_that_does_not_run_is_suspected(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """The most common mistake of all has no status to show."""
    untouched = copy.deepcopy(SERVING)
    del untouched["status"]
    kubectl.answer(untouched)
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
def test_a_pod_says_what_hinders_it(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], change: dict[str, Any], state: str
) -> None:
    """The first hindrance, not just a phase."""
    kubectl.answer(BROKEN, [{**POD, **change}])
    assert json.loads(tritonctl(capsys, "status", "digits", "-o", "json").out)["pods"][0]["state"] == state


def test_waiting_prints_each_reason_once_and_ends_with_ready(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch stays open; nothing waits for its end."""
    rolling = deployment("False", "RollingOut", "0 of 1 replicas are ready.")
    kubectl.answer(rolling)
    kubectl.watch(rolling, rolling, BROKEN, SERVING, BROKEN)
    outcome = tritonctl(capsys, "status", "digits", "--wait", 60)
    assert outcome.err.splitlines()[:2] == ["RollingOut: 0 of 1 replicas are ready.", f"ModelLoadFailed: {SENTENCE}"]
    assert outcome.code == 0
    assert "--watch" in " ".join(kubectl.calls)


def test_where_watching_is_not_allowed_it_is_read_again_less_and_less_often(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each reading starts a program and asks the API server: at 0, 0.25 and 0.75 s at the earliest."""
    kubectl.answer(BROKEN)
    kubectl.fail("get-modeldeployments-watch", "Error from server (Forbidden): cannot watch")
    outcome = tritonctl(capsys, "status", "digits", "--wait", 1)
    assert outcome.code == 1
    assert 2 <= sum("--watch" in call for call in kubectl.calls) <= 3


def test_waiting_ends_with_its_time(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """The last word is the state as it is then."""
    kubectl.answer(BROKEN)
    kubectl.fail("get-modeldeployments-watch", "")
    outcome = tritonctl(capsys, "status", "digits", "--wait", 0.2)
    assert outcome.code == 1
    assert "ModelLoadFailed" in outcome.out


@pytest.mark.parametrize(
    ("complaint", "code", "says"),
    [
        (
            'Error from server (NotFound): modeldeployments.triton-operator.io "digits" not found',
            1,
            "kubectl get modeldeployments",
        ),
        ('error: the server doesn\'t have a resource type "modeldeployments"', 1, "install the chart"),
        (
            'Error from server (Forbidden): modeldeployments is forbidden: User "me" cannot get',
            1,
            'User "me" cannot get',
        ),
        (
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            3,
            "KUBECONFIG",
        ),
        ("error: You must be logged in to the server (Unauthorized)", 3, "logged in"),
        ('error: context "x" does not exist', 3, "--context"),
        (
            "E1122 10:00:00.1 1 memcache.go:265] refused\nUnable to connect to the server: dial tcp: i/o timeout",
            3,
            "Unable to connect",
        ),
        ("error: something new", 1, "kubectl: something new"),
    ],
)
def test_kubectls_complaints_become_one_line_and_an_exit_status(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], complaint: str, code: int, says: str
) -> None:
    """Unreachable is told apart from an answer that is no."""
    kubectl.fail("get-modeldeployments", complaint + "\n")
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == code
    assert says in outcome.err
    assert len(outcome.err.splitlines()) == 1
