"""`tritonctl rollout`: what it changes in the object, the table of revisions, and the exit status."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.tritonctl import tritonctl

UID = "5d0f"


def deployment(status: str, reason: str, *, stalled: bool = False, **more: Any) -> dict[str, Any]:
    """A ModelDeployment with a condition Ready."""
    conditions = [
        {"type": "Ready", "status": status, "reason": reason, "message": "a message"},
        {"type": "Stalled", "status": str(stalled), "reason": reason, "message": "a message"},
    ]
    metadata = {"name": "digits", "namespace": NAMESPACE, "uid": UID, "generation": 1}
    return {"metadata": metadata, "spec": {}, "status": {"observedGeneration": 1, "conditions": conditions, **more}}


def revision(number: int, template: str, uid: str = UID) -> dict[str, Any]:
    """A ControllerRevision of the object with this uid."""
    return {
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"digits-{template}",
            "namespace": NAMESPACE,
            "creationTimestamp": f"2026-11-{number:02}T10:00:00Z",
            "ownerReferences": [{"uid": uid}],
        },
        "revision": number,
        "data": {"templateHash": template, "serverImage": f"triton:{number}", "template": {"spec": {}}},
    }


@pytest.mark.parametrize(
    ("action", "fields", "done"),
    [("pause", {"paused": True}, "paused"), ("resume", {"paused": False}, "resumed")],
)
def test_a_pause_is_a_field_of_the_spec(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, action: str, fields: dict[str, Any], done: str
) -> None:
    """Nothing else is sent, so other fields remain."""
    cluster.answer(deployment("True", "Serving"))
    assert tritonctl(capsys, "rollout", action, "digits") == (0, f"models/digits {done}\n", "")
    assert [body for body in cluster.bodies if body] == [{"spec": {"rollout": fields}}]
    assert cluster.requests[-1].startswith("PATCH /apis/")


def test_a_canary_that_waits_continues_after_its_step(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    """The field names the revision, so that it has no effect on the next canary."""
    rollout = {"canary": {"phase": "Paused", "revision": "digits-0123456789", "step": 2}}
    waiting = deployment("False", "RollingOut", rollout=rollout)
    cluster.answer(waiting)
    said = "models/digits resumed: the canary continues after digits-0123456789/2\n"
    assert tritonctl(capsys, "rollout", "resume", "digits") == (0, said, "")
    cluster.answer(waiting | {"spec": {"rollout": {"paused": True}}})
    assert tritonctl(capsys, "rollout", "resume", "digits") == (0, "models/digits resumed\n", "")
    assert [body for body in cluster.bodies if body] == [
        {"spec": {"rollout": {"paused": False, "canary": {"resumed": "digits-0123456789/2"}}}},
        {"spec": {"rollout": {"paused": False}}},
    ]


def test_a_restart_sets_the_current_time(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    cluster.answer(deployment("True", "Serving"))
    assert tritonctl(capsys, "rollout", "restart", "digits") == (0, "models/digits restarted\n", "")
    restarted = datetime.fromisoformat(cluster.bodies[0]["spec"]["rollout"]["restartedAt"])
    assert abs((datetime.now(restarted.tzinfo) - restarted).total_seconds()) < 600


def test_a_deployment_that_does_not_exist_is_not_changed(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    outcome = tritonctl(capsys, "rollout", "pause", "absent")
    assert outcome.code == 1
    assert '"absent" not found' in outcome.err


def test_the_history_has_the_revisions_of_this_object_in_order(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    """A deleted object of the same name may have left some."""
    states = [{"name": "digits-b", "current": True, "ready": 2}, {"name": "digits-a", "ready": 1}]
    cluster.answer(deployment("False", "RollingOut", revisions=states))
    cluster.put("controllerrevisions", revision(10, "b"), revision(9, "a"), revision(8, "z", uid="older"))
    table = tritonctl(capsys, "rollout", "history", "digits")
    assert [line.split() for line in table.out.splitlines()] == [
        ["REVISION", "NAME", "CREATED", "IMAGE", "CURRENT", "READY"],
        ["9", "digits-a", "2026-11-09T10:00:00Z", "triton:9", "no", "1"],
        ["10", "digits-b", "2026-11-10T10:00:00Z", "triton:10", "yes", "2"],
    ]
    rows = json.loads(tritonctl(capsys, "rollout", "history", "digits", "-o", "json").out)
    assert [(row["revision"], row["current"], row["ready"]) for row in rows] == [(9, False, 1), (10, True, 2)]


def test_the_status_waits_until_the_deployment_is_ready(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    cluster.answer(deployment("False", "RollingOut"))
    cluster.watch(deployment("True", "Serving"))
    outcome = tritonctl(capsys, "rollout", "status", "digits")
    assert (outcome.code, outcome.out) == (0, "models/digits Ready\n")
    assert outcome.err.splitlines() == ["RollingOut: a message", "Serving: a message"]


def test_a_rollout_that_makes_no_progress_is_a_failure(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    cluster.answer(deployment("False", "ImagePullFailed", stalled=True))
    outcome = tritonctl(capsys, "rollout", "status", "digits")
    assert (outcome.code, outcome.out) == (1, "")
    assert "ImagePullFailed" in outcome.err


def test_only_the_history_has_an_output_format(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    outcome = tritonctl(capsys, "rollout", "pause", "digits", "-o", "json")
    assert outcome.code == 2
    assert "use `tritonctl status digits -o json`" in outcome.err
    assert cluster.requests == []
