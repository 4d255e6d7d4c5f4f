"""The tree below a deployment, lists of several, and `--watch`."""

from __future__ import annotations

import copy
import json
import os
import pty
import sys
from collections import Counter
from typing import Any

import pytest

from tests.fake_cluster import FakeCluster
from tests.tritonctl import run_until, tritonctl
from triton_operator.cli.status.tree import RESOURCES, TreeNode, build_tree


def an_object(kind: str, name: str, *, owner: str = "", **content: Any) -> dict[str, Any]:
    """An object with its name as uid."""
    owners = [{"uid": owner}] if owner else [{"uid": "of the ModelDeployment"}]
    return {"kind": kind, "metadata": {"name": name, "uid": name, "ownerReferences": owners}, **content}


def a_container(name: str, state: dict[str, Any], *, restarts: int = 0, ready: bool = False) -> dict[str, Any]:
    """The status of a container."""
    return {"name": name, "state": state, "restartCount": restarts, "ready": ready}


PREPARED = a_container("prepare", {"terminated": {"reason": "Completed", "exitCode": 0}})
CRASHED = a_container("triton", {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m\nmore"}}, restarts=2)
CHILDREN = [
    an_object("Service", "digits", spec={"ports": [{"name": "http", "port": 8000}]}),
    an_object("Service", "digits-headless", spec={"clusterIP": "None", "ports": []}),
    an_object("Deployment", "digits", spec={"replicas": 2}, status={"readyReplicas": 1}),
    an_object("ReplicaSet", "digits-old", owner="digits", spec={"replicas": 0}),
    an_object("ReplicaSet", "digits-new", owner="digits", spec={"replicas": 2}, status={"readyReplicas": 1}),
    an_object(
        "Pod",
        "digits-new-a",
        owner="digits-new",
        spec={"nodeName": "n1"},
        status={
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [PREPARED],
            "containerStatuses": [a_container("triton", {"running": {}}, ready=True, restarts=1)],
        },
    ),
    an_object(
        "Pod",
        "digits-new-b",
        owner="digits-new",
        status={"phase": "Running", "initContainerStatuses": [PREPARED], "containerStatuses": [CRASHED]},
    ),
    an_object("PersistentVolumeClaim", "digits-cache", status={"phase": "Bound", "capacity": {"storage": "50Gi"}}),
    an_object("Job", "digits-cache", status={"conditions": [{"type": "Failed", "status": "True", "message": "why"}]}),
    an_object("HorizontalPodAutoscaler", "digits", spec={"minReplicas": 1, "maxReplicas": 4}, status={}),
    an_object("ControllerRevision", "digits-1", revision=1),
]
for child in CHILDREN:
    if child["kind"] == "Deployment":
        child["metadata"]["uid"] = "digits"
    elif child["kind"] not in {"ReplicaSet", "Pod"}:
        child["metadata"]["uid"] = f"{child['kind']}/{child['metadata']['name']}"


def lines(nodes: tuple[TreeNode, ...], depth: int = 0) -> list[str]:
    """The tree as indented lines."""
    return [
        line
        for node in nodes
        for line in (
            f"{'  ' * depth}{node.kind} {node.name}: {node.state}{f' ({node.message})' if node.message else ''}",
            *lines(node.children, depth + 1),
        )
    ]


def test_owners_are_a_tree_down_to_the_containers() -> None:
    """An old ReplicaSet without pods is omitted; one that has failed is shown with its reason."""
    assert lines(build_tree(CHILDREN)) == [
        "Deployment digits: 1/2 ready",
        "  ReplicaSet digits-new: 1/2 ready",
        "    Pod digits-new-a: Running on n1",
        "      Container prepare: Completed",
        "      Container triton: Running, restarted 1 time",
        "    Pod digits-new-b: CrashLoopBackOff (back-off 5m\nmore)",
        "      Container prepare: Completed",
        "      Container triton: CrashLoopBackOff, restarted 2 times (back-off 5m)",
        "Job digits-cache: Failed (why)",
        "PersistentVolumeClaim digits-cache: Bound 50Gi",
        "Service digits: ClusterIP: http 8000",
        "Service digits-headless: headless: ",
        "HorizontalPodAutoscaler digits: 1 to 4, 0 now, 0 desired",
        "ControllerRevision digits-1: revision 1",
    ]


def test_a_failed_replica_set_shows_why_it_has_no_pods() -> None:
    """For example because of a quota."""
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    replica_set = an_object("ReplicaSet", "a", spec={"replicas": 1}, status={"conditions": [condition]})
    assert lines(build_tree([replica_set])) == ["ReplicaSet a: 0/1 ready (exceeded quota)"]


def deployment(name: str, ready: str = "True", reason: str = "Serving") -> dict[str, Any]:
    """A ModelDeployment."""
    return {
        "metadata": {"name": name, "namespace": "models", "generation": 1},
        "spec": {"models": [{"name": name}]},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "readyReplicas": int(ready == "True"),
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": f"{name} [says] it"}],
        },
    }


@pytest.fixture
def digits(cluster: FakeCluster) -> FakeCluster:
    """A cluster with one deployment and all its children."""
    cluster.answer(deployment("digits"))
    cluster.children(*CHILDREN)
    return cluster


def test_one_deployment_is_one_request_and_one_for_each_kind(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Independent of the number of children, because each request takes time on a slow link."""
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 0
    assert "└── Container triton  CrashLoopBackOff, restarted 2 times  back-off 5m" in outcome.out
    paths = Counter(request.partition("?")[0].rpartition("/")[2] for request in digits.requests)
    assert paths == Counter(["digits", *(resource.plural for resource in RESOURCES)])


def test_unreadable_children_are_reported(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The status of the deployment is shown nevertheless."""
    digits.fail("jobs", 403, 'jobs.batch is forbidden: User "me" cannot list')
    outcome = tritonctl(capsys, "status", "digits")
    assert outcome.code == 0
    assert "warning: some objects cannot be read: jobs.batch is forbidden" in outcome.err
    assert "Container triton" in outcome.out


def test_several_are_a_line_each(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The worst state determines the exit status."""
    items = [deployment("digits"), deployment("words", "False", "ModelNotFound")]
    digits.put("modeldeployments", *items)
    for arguments in ([], ["digits", "words"], ["-A"]):
        outcome = tritonctl(capsys, "status", *arguments)
        assert outcome.code == 1
        assert outcome.err == "error: 1 of 2 not Ready: words\n"
        assert [line.split()[:3] for line in outcome.out.splitlines()[1:]] == [
            ["models/digits" if arguments == ["-A"] else "digits", "True", "Serving"],
            ["models/words" if arguments == ["-A"] else "words", "False", "ModelNotFound"],
        ]
    data = json.loads(tritonctl(capsys, "status", "-o", "json").out)
    assert [each["name"] for each in data] == ["digits", "words"]
    assert len(digits.requests) == 5, "one for each list, and one for each name"


def test_an_empty_namespace_is_reported(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not a failure."""
    digits.put("modeldeployments")
    outcome = tritonctl(capsys, "status")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no ModelDeployments found in this namespace" in outcome.err


@pytest.mark.parametrize(
    "arguments", [["digits", "-A"], ["--wait", "5"], ["a", "b", "--wait", "5"], ["a", "--wait", "5", "--watch"]]
)
def test_options_that_contradict_each_other(
    digits: FakeCluster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """It is a usage error, before any request."""
    assert tritonctl(capsys, "status", *arguments).code == 2


def watch_command(*arguments: str) -> list[str]:
    """`tritonctl status --watch` as a separate process."""
    return [sys.executable, "-m", "triton_operator.cli", "status", "digits", "--watch", *arguments]


def test_in_a_pipe_each_change_is_a_line(digits: FakeCluster) -> None:
    """Unchanged states are not repeated; Ctrl-C leaves no process."""
    rolling = deployment("digits", "False", "RollingOut")
    later = copy.deepcopy(rolling)
    later["metadata"]["resourceVersion"] = "7"
    digits.watch(deployment("digits"), rolling, later, deployment("digits", "False", "Crashed"))
    text, code = run_until(watch_command(), *os.pipe(), "Crashed")
    assert [line.split("  ")[1:4] for line in text.splitlines()] == [
        ["models/digits", "Ready", "Serving"],
        ["models/digits", "Not ready", "RollingOut"],
        ["models/digits", "Not ready", "Crashed"],
    ]
    assert code == 130


def test_as_json_each_change_is_a_document_on_one_line(digits: FakeCluster) -> None:
    """Including a deletion."""
    digits.watch({"type": "DELETED", "object": deployment("digits")})
    text, _ = run_until(watch_command("-o", "json"), *os.pipe(), "deleted")
    first, last = (json.loads(line) for line in text.splitlines())
    assert (first["ready"], last) == (True, {"name": "models/digits", "deleted": True})


def test_on_a_terminal_the_status_is_redrawn(digits: FakeCluster) -> None:
    """With the complete tree."""
    digits.watch(deployment("digits", "False", "Crashed"))
    text, code = run_until(watch_command(), *pty.openpty(), "Crashed")
    assert "Serving" in text
    assert "Container triton" in text
    assert code == 130


def test_a_watch_of_a_missing_object_ends_immediately(digits: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is an error, not a state to wait for."""
    digits.put("modeldeployments")
    assert tritonctl(capsys, "status", "digits", "--watch").code == 1
