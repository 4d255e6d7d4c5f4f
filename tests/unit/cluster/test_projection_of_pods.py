"""The parts of serving pods that the operator caches."""

from __future__ import annotations

from typing import Any

from tests.stored_objects import a_stored, encode
from triton_operator.cluster.observed import Container, ObservedCondition, Terminated
from triton_operator.cluster.pod_projection import project_pod

Object = dict[str, Any]

PREPARED = {
    "name": "prepare",
    "ready": True,
    "started": False,
    "restartCount": 0,
    "state": {
        "terminated": {
            "exitCode": 0,
            "reason": "Completed",
            "message": '{"models":[]}',
            "startedAt": "2026-01-02T03:04:05Z",
            "finishedAt": "2026-01-02T03:04:06Z",
        }
    },
    "lastState": {},
    "image": "example.org/operator:1",
    "imageID": "x",
}
CRASHED = {
    "name": "triton",
    "ready": False,
    "started": False,
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
    "lastState": {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled", "finishedAt": None}},
}


def a_pod(**status: Any) -> Object:
    """A pod of `digits`."""
    spec = {"nodeName": "node-1", "containers": [{"name": "triton"}], "volumes": []}
    return a_stored("Pod", spec=spec, status={"phase": "Running", **status})


def test_containers_report_how_they_are_and_how_they_ended() -> None:
    """Init containers first, in the order in which they run."""
    pod = project_pod(encode(a_pod(initContainerStatuses=[PREPARED], containerStatuses=[CRASHED])))
    assert pod.containers == (
        Container(
            name="prepare",
            init=True,
            ready=True,
            terminated=Terminated(
                exit_code=0,
                reason="Completed",
                message='{"models":[]}',
                started_at="2026-01-02T03:04:05Z",
                finished_at="2026-01-02T03:04:06Z",
            ),
        ),
        Container(
            name="triton",
            init=False,
            restarts=3,
            waiting_reason="CrashLoopBackOff",
            waiting_message="back-off 40s",
            last_terminated=Terminated(exit_code=137, signal=9, reason="OOMKilled"),
        ),
    )


def test_a_running_container() -> None:
    """Its startup and readiness probes have succeeded."""
    running = {"name": "triton", "ready": True, "started": True, "state": {"running": {"startedAt": "now"}}}
    (container,) = project_pod(encode(a_pod(containerStatuses=[running]))).containers
    assert (container.running, container.ready, container.started) == (True, True, True)


def test_identity_place_and_conditions() -> None:
    """The revision and the deployment are labels."""
    unready = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "triton", "lastProbe": 1}
    pod = project_pod(encode(a_pod(conditions=[unready])))
    assert (pod.namespace, pod.name, pod.uid, pod.resource_version) == ("shop", "digits", "uid-of-child", 4711)
    assert (pod.deployment, pod.revision) == ("digits", "digits-0123456789")
    assert (pod.node, pod.phase, pod.created_at) == ("node-1", "Running", "2026-01-02T03:04:05Z")
    assert pod.conditions == (
        ObservedCondition(type="Ready", status="False", reason="ContainersNotReady", message="triton"),
    )


def test_a_pod_that_no_kubelet_has_seen() -> None:
    """It is pending, without a node and containers."""
    stored = a_stored("Pod", spec={"containers": []}, status={"phase": "Pending"})
    pod = project_pod(encode(stored))
    assert (pod.node, pod.phase, pod.containers, pod.deleting) == ("", "Pending", (), False)


def test_an_evicted_pod_has_its_reason() -> None:
    """The reason and the message of the pod itself."""
    stored = a_pod(phase="Failed", reason="Evicted", message="the node was low on memory")
    stored["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    pod = project_pod(encode(stored))
    assert (pod.phase, pod.reason, pod.message, pod.deleting) == (
        "Failed",
        "Evicted",
        "the node was low on memory",
        True,
    )
