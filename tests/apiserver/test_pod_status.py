"""Failures that one healthy node cannot have: the tests write the status of a kubelet or a controller.

Each status was recorded in a real cluster of the same version; the pod is created from the Deployment's template.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import Kubectl
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from triton_operator.api.names import ANNOTATION_FAILED_REVISION, ANNOTATION_RESTORED_REVISION

Object = dict[str, Any]
Ask = Callable[..., Any]

NOW = "2026-01-02T03:04:05Z"
_WITHIN_SECONDS = 180.0
"""Far below the ten minutes between two resyncs: what is seen by then was told by a watch."""
PREPARED = '{"outcome":"Prepared","models":[{"name":"digits","versions":["1"],"digest":""}]}'
PREPARE: Object = {
    "name": "prepare",
    "image": "example.org/triton-operator:1",
    "imageID": "",
    "ready": True,
    "restartCount": 0,
    "state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": PREPARED, "finishedAt": NOW}},
}
RUNS: Object = {
    "name": "triton",
    "image": "nvcr.io/nvidia/tritonserver:26.11-py3",
    "imageID": "",
    "ready": True,
    "started": True,
    "restartCount": 0,
    "state": {"running": {"startedAt": NOW}},
}
SERVES: Object = {
    "phase": "Running",
    "conditions": [
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": "True"},
        {"type": "ContainersReady", "status": "True"},
        {"type": "PodScheduled", "status": "True"},
    ],
    "initContainerStatuses": [PREPARE],
    "containerStatuses": [RUNS],
}
NODE_STOPPED_REPORTING: Object = {
    **SERVES,
    "conditions": [
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": "False", "lastTransitionTime": NOW},
        {"type": "ContainersReady", "status": "True"},
        {"type": "PodScheduled", "status": "True"},
    ],
}
LOW_ON_DISK: Object = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10738417664, available: 10480932Ki. "
        "Container triton was using 12Ki, request is 0, has larger consumption of ephemeral-storage. "
    ),
    "conditions": [
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "message": "The node was low on resource: ephemeral-storage.",
        }
    ],
}
REJECTED: Object = {
    "phase": "Failed",
    "reason": "OutOfnvidia.com/gpu",
    "message": "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 1, capacity: 1",
}
STUCK: Object = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "digits-6d4cf56db6" has timed out progressing.',
    "lastTransitionTime": NOW,
    "lastUpdateTime": NOW,
}


class Served:
    """A deployment whose only pod serves, and methods that change the pod's status."""

    def __init__(self, kubectl: Kubectl, namespace: str, operator: OperatorProcess) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._operator = operator

    def ask(self, *arguments: str, stdin: Object | None = None) -> str:
        return self._kubectl("-n", self._namespace, *arguments, stdin=json.dumps(stdin) if stdin else "")

    def start(self) -> None:
        body = a_body(namespace=self._namespace, gpu={"count": 1})
        body["metadata"] = {"name": "digits", "namespace": self._namespace}
        self.ask("apply", "-f", "-", stdin=body)
        _until(lambda: self.ask("get", "deployment", "--no-headers", "--ignore-not-found"), "the Deployment is there")
        template = json.loads(self.ask("get", "deployment", "digits", "-o", "json"))["spec"]["template"]
        self.add_pod("digits-1", template)
        self.report_pod(SERVES)
        self.report_deployment(1)
        _until(lambda: self.ready()["status"] == "True", "it is Ready")

    def add_pod(self, name: str, template: Object) -> None:
        spec = template["spec"] | {"nodeName": "node-1"}
        metadata = {"name": name, "labels": template["metadata"]["labels"]}
        self.ask("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def canary(self) -> Object:
        rollout = self.child("modeldeployment", "digits")["status"].get("rollout") or {}
        found: Object = rollout.get("canary") or {}
        return found

    def report_pod(self, status: Object, name: str = "digits-1") -> None:
        change = json.dumps({"status": {"conditions": None, "containerStatuses": None, **status}})
        self.ask("patch", "pod", name, "--subresource=status", "--type=merge", "-p", change)

    def report_deployment(self, ready: int, *conditions: Object, name: str = "digits") -> None:
        counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": ready, "availableReplicas": ready}
        generation = json.loads(self.ask("get", "deployment", name, "-o", "json"))["metadata"]["generation"]
        status = {**counts, "observedGeneration": generation, "conditions": list(conditions)}
        change = json.dumps({"status": status})
        self.ask("patch", "deployment", name, "--subresource=status", "--type=merge", "-p", change)

    def restart_operator(self) -> None:
        self._operator.stop()
        self._operator.start()
        self._operator.wait_ready()

    def edit(self, spec: Object) -> None:
        self.ask("patch", "modeldeployment", "digits", "--type=merge", "-p", json.dumps({"spec": spec}))

    def child(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.ask("get", kind, name, "-o", "json"))
        return found

    def ready(self) -> Object:
        body = self.child("modeldeployment", "digits")
        ready = [each for each in body.get("status", {}).get("conditions", []) if each["type"] == "Ready"]
        return ready[0] if ready else {"status": "", "reason": "", "message": ""}


@pytest.fixture
def served(kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Served]:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as process:
        process.wait_ready()
        served = Served(kubectl, namespace, process)
        served.start()
        yield served


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (NODE_STOPPED_REPORTING, "NodeLost", ("node-1", "digits-1", "replaced automatically")),
        (LOW_ON_DISK, "OutOfSpace", ("ephemeral-storage", "available: 10480932Ki", "automatically")),
        (REJECTED, "InsufficientGPU", ("Node didn't have enough resource: nvidia.com/gpu",)),
    ],
    ids=["a node that stopped reporting", "a node whose disk is full", "a GPU that was gone"],
)
def test_what_a_pod_shows_is_told(status: Object, reason: str, words: tuple[str, ...], served: Served) -> None:
    served.report_pod(status)
    _until(lambda: served.ready()["reason"] == reason, f"the reason is {reason}")
    message = served.ready()["message"]
    assert [word for word in words if word not in message] == [], message


def test_a_node_that_comes_back_is_no_failure_any_more(served: Served) -> None:
    served.report_pod(NODE_STOPPED_REPORTING)
    _until(lambda: served.ready()["reason"] == "NodeLost", "the node is lost")
    served.report_pod(SERVES)
    _until(lambda: served.ready()["status"] == "True", "it is Ready again")


def test_a_rollout_that_is_stuck_for_an_unknown_cause_is_told(served: Served) -> None:
    starting = {**RUNS, "ready": False, "started": False}
    unready = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
    served.report_pod({**SERVES, "conditions": [unready], "containerStatuses": [starting]})
    served.report_deployment(0, STUCK)
    _until(lambda: served.ready()["reason"] == "ProgressDeadlineExceeded", "the deadline is reported")
    assert served.ready()["message"].startswith('ReplicaSet "digits-6d4cf56db6" has timed out progressing; ')


def test_a_rollback_is_recorded_with_the_pod_template(served: Served) -> None:
    """The next operator changes nothing, and the record disappears with the spec that failed."""
    good = served.child("deployment", "digits")["spec"]["template"]
    change = {"triton": {"logLevel": "Info"}, "rollout": {"rollbackOnFailure": True}}
    served.edit(change)
    _until(lambda: served.child("deployment", "digits")["spec"]["template"] != good, "the new template is applied")
    served.report_deployment(1, STUCK)
    _until(lambda: served.child("deployment", "digits")["spec"]["template"] == good, "the old template is back")
    served.report_deployment(1)
    _until(lambda: served.ready()["reason"] == "RolledBack", "it is Ready again")
    before = served.child("deployment", "digits")["metadata"]
    rollback = served.child("modeldeployment", "digits")["status"]["rollout"]["rollback"]
    assert before["annotations"][ANNOTATION_FAILED_REVISION] == rollback["failedRevision"]
    assert before["annotations"][ANNOTATION_RESTORED_REVISION] == rollback["restoredRevision"]
    served.restart_operator()
    served.edit({"replicas": 2})
    _until(lambda: served.child("deployment", "digits")["spec"]["replicas"] == 2, "the next operator works on it")
    assert served.child("deployment", "digits")["spec"]["template"] == good
    served.edit({"triton": None})
    _until(
        lambda: not served.child("deployment", "digits")["metadata"].get("annotations"), "the record has disappeared"
    )
    assert served.child("deployment", "digits")["spec"]["template"] == good


def test_a_canary_runs_beside_the_stable_pods_until_it_fails(served: Served) -> None:
    """One Service selects the pods of both Deployments, and a restarted operator does not try the revision again."""
    good = served.child("deployment", "digits")
    steps = [{"weight": 10, "pause": {"seconds": 5}}, {"weight": 50}]
    served.edit({"triton": {"logLevel": "Info"}, "rollout": {"strategy": "Canary", "canary": {"steps": steps}}})
    _until(lambda: served.ask("get", "deployment", "digits-canary", "--no-headers", "--ignore-not-found"), "it exists")
    canary = served.child("deployment", "digits-canary")
    assert served.child("deployment", "digits")["spec"]["template"] == good["spec"]["template"]
    template = canary["spec"]["template"]
    assert template != good["spec"]["template"]
    for name in ("digits", "digits-headless"):
        selected = served.child("service", name)["spec"]["selector"].items()
        assert selected <= template["metadata"]["labels"].items()
        assert selected <= good["spec"]["template"]["metadata"]["labels"].items()
    assert not good["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    served.add_pod("canary-1", template)
    served.report_pod(SERVES, "canary-1")
    served.report_deployment(1, name="digits-canary")

    def waits() -> bool:
        served.report_deployment(1, name="digits-canary")
        return bool(served.canary().get("phase") == "Paused")

    _until(waits, "the first step is over, and the second one waits")
    assert (served.canary()["step"], served.canary()["weight"]) == (2, 50)
    crashed = {**RUNS, "restartCount": 1}
    served.report_pod({**SERVES, "containerStatuses": [crashed]}, "canary-1")
    _until(
        lambda: not served.ask("get", "deployment", "digits-canary", "--no-headers", "--ignore-not-found"), "aborted"
    )
    _until(lambda: served.canary().get("phase") == "Aborted", "the status says so")
    assert "container triton of pod canary-1 restarted" in served.canary()["message"]
    served.ask("delete", "pod", "canary-1", "--grace-period=0", "--force")
    served.restart_operator()
    served.edit({"podLabels": {"team": "vision"}})
    _until(
        lambda: served.ask("get", "deployment", "digits-canary", "--no-headers", "--ignore-not-found"), "tries again"
    )
    assert served.child("deployment", "digits")["spec"]["template"] == good["spec"]["template"]


def _until(look: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"not within {_WITHIN_SECONDS:.0f} s: {what}"
        time.sleep(0.1)
