"""Cached claims and Jobs: fields that their controllers write are no change, and no field is foreign."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stored_objects import LABELS, OWNER, a_stored, encode, managed
from triton_operator.cluster.observed import Child, ClaimState, JobState, Kind
from triton_operator.cluster.projection import project_child

Object = dict[str, Any]

SUCCEEDED = [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]
FAILED = {
    "type": "Failed",
    "status": "True",
    "reason": "BackoffLimitExceeded",
    "message": "Job has reached the specified backoff limit",
    "lastTransitionTime": "2026-01-02T03:14:15Z",
}


def a_claim(*, annotations: Object | None = None, **spec: Any) -> Object:
    """A claim as a user of the API sees it after binding."""
    content = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}, **spec}
    binding = managed({"f:spec": {"f:volumeName": {}}}, "kube-controller-manager", "Update")
    return a_stored(
        "PersistentVolumeClaim", binding, metadata={"annotations": annotations or {}}, spec=content, status={}
    )


def a_job(*conditions: Object, **status: Any) -> Object:
    """A Job with these conditions."""
    return a_stored(
        "Job",
        metadata={"annotations": {"triton-operator.io/recipe": "0123456789"}},
        spec={"backoffLimit": 6, "template": {"spec": {"containers": []}}},
        status={"conditions": list(conditions), **status},
    )


def project(stored: Object) -> Child:
    return project_child(Kind(stored["kind"]), encode(stored))


def test_a_claim_reports_its_size_and_whether_it_is_filled() -> None:
    assert project(a_claim()).state == ClaimState(requested="5Gi")
    assert project(a_claim(annotations={"triton-operator.io/filled": "true"})).state == ClaimState(
        requested="5Gi", filled=True
    )
    assert project(a_stored("PersistentVolumeClaim")).state == ClaimState()


def test_binding_a_claim_is_neither_a_change_nor_foreign() -> None:
    before = project(a_claim())
    bound = {"pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/selected-node": "node-1"}
    after = project(a_claim(annotations=bound, volumeName="pv-1", storageClassName="standard"))
    assert after.fingerprint == before.fingerprint
    assert not after.has_foreign_fields


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {**LABELS, "triton-operator.io/model-deployment": "other"}},
        {"ownerReferences": []},
        {"ownerReferences": [OWNER | {"controller": False}]},
        {"annotations": {"triton-operator.io/filled": "true"}},
    ],
)
def test_what_makes_it_ours_is_in_the_fingerprint(change: Object) -> None:
    stored = a_claim()
    changed = {**stored, "metadata": {**stored["metadata"], **change}}
    assert project(changed).fingerprint != project(stored).fingerprint


def test_a_job_that_runs_is_neither_complete_nor_failed() -> None:
    target = {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}
    state = project(a_job(target, startTime="2026-01-02T03:04:05Z", active=1)).state
    assert state == JobState(recipe="0123456789", started_at="2026-01-02T03:04:05Z")
    stored = a_job()
    del stored["status"]
    assert project(stored).state == JobState(recipe="0123456789")


def test_a_job_reports_that_it_is_complete() -> None:
    assert project(a_job(*SUCCEEDED)).state == JobState(recipe="0123456789", complete=True)


def test_a_job_reports_when_and_why_it_failed() -> None:
    state = project(a_job({**FAILED, "type": "FailureTarget"}, FAILED)).state
    assert state == JobState(
        recipe="0123456789",
        failed=True,
        failed_at="2026-01-02T03:14:15Z",
        reason="BackoffLimitExceeded",
        message="Job has reached the specified backoff limit",
    )


def test_a_condition_that_is_false_says_nothing() -> None:
    assert project(a_job({**FAILED, "status": "False"}, {"type": "Complete", "status": "False"})).state == JobState(
        recipe="0123456789"
    )
