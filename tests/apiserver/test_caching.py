"""The cache with the real operator and a real API server; the tests write the Job controller's part.

No controller runs here. Each test makes the changes that one would make (report the end of a Job, remove it after its
pods), so that every intermediate state can be checked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.apiserver.conftest import Kubectl
from tests.apiserver.many_objects import until_passed
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body

T = TypeVar("T")
Object = dict[str, Any]

CACHE = {"size": "1Gi", "storageClassName": "by-hand", "egress": {"cidrs": ["203.0.113.0/24"]}}
TIMES = {"startTime": "2026-01-02T03:04:05Z"}
COMPLETE = {
    **TIMES,
    "completionTime": "2026-01-02T03:05:06Z",
    "succeeded": 1,
    "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached"},
        {"type": "Complete", "status": "True", "reason": "CompletionsReached"},
    ],
}
MISTAKEN = {
    **TIMES,
    "failed": 1,
    "conditions": [
        {"type": kind, "status": "True", "reason": "PodFailurePolicy", "message": "exit code 78 matching FailJob rule"}
        for kind in ("FailureTarget", "Failed")
    ],
}


def a_bucket(prefix: str) -> Object:
    """Models in a bucket."""
    return {"s3": {"bucket": "models", "prefix": prefix, "endpoint": "https://s3.example.com"}}


class Life:
    """One ModelDeployment `digits` with a cache, and simulated controllers."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def run(self, *arguments: str, stdin: Object | None = None) -> str:
        return self._kubectl("-n", self._namespace, *arguments, stdin=json.dumps(stdin) if stdin else "")

    def apply(self, prefix: str, **spec: Any) -> None:
        body = a_body(**({"modelRepository": a_bucket(prefix), "cache": CACHE} | spec))
        body["metadata"] = {"name": "digits"}
        self.run("apply", "-f", "-", stdin=body)

    def get(self, kind: str, name: str = "digits") -> Object:
        text = self.run("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text else {}

    def names(self, kind: str) -> list[str]:
        items = json.loads(self.run("get", kind, "-o", "json"))["items"]
        return sorted(body["metadata"]["name"] for body in items if "deletionTimestamp" not in body["metadata"])

    def job(self) -> str:
        """The name of the only Job, once it exists."""
        return self.until(lambda: self.names("job"), "a Job is there")[0]

    def report(self, job: str, status: Object) -> None:
        """Write the status that the Job controller writes at the end."""
        self.run("patch", "job", job, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))

    def collect(self, job: str) -> None:
        """Remove a Job whose deletion waits for its pods, as the garbage collector does."""
        self.until(lambda: "deletionTimestamp" in self.get("job", job)["metadata"], f"{job} is deleted")
        self.run("patch", "job", job, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')

    def fill(self) -> str:
        """Let the Job complete and be removed; returns the claim's name."""
        name = self.job()
        self.report(name, COMPLETE)
        self.collect(name)
        return name

    def condition(self, kind: str) -> Object:
        conditions = self.get("modeldeployment").get("status", {}).get("conditions", [])
        result: Object = next((condition for condition in conditions if condition["type"] == kind), {})
        return result

    def mounted(self) -> list[str]:
        """Claims that the Deployment's pods mount."""
        volumes = self.get("deployment")["spec"]["template"]["spec"]["volumes"]
        return [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]

    def until(self, look: Callable[[], T], what: str, seconds: float = 120) -> T:
        deadline = time.monotonic() + seconds
        while not (result := look()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.2)
        return result


@pytest.fixture
def life(kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Life]:
    """A namespace with an operator."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        yield Life(kubectl, namespace)


def test_there_is_no_pod_before_the_cache_is_filled_and_no_job_after(life: Life) -> None:
    life.apply("v1")
    name = life.job()
    assert life.names("persistentvolumeclaim") == [name]
    assert life.names("networkpolicy") == ["digits", name]
    life.until(lambda: life.condition("Ready").get("reason") == "Caching", "it says what it waits for")
    assert life.names("deployment") == life.names("controllerrevision") == []
    life.report(name, COMPLETE)
    life.until(lambda: life.names("deployment"), "pods are made")
    assert life.mounted() == [name]
    assert name in life.names("networkpolicy"), "the policy stays until the Job is gone"
    life.collect(name)
    life.until(lambda: life.names("networkpolicy") == ["digits"], "the Job's policy is gone")
    assert life.names("persistentvolumeclaim") == [name]
    assert life.get("modeldeployment")["status"]["cache"]["state"] == "Filled"


def test_another_content_is_filled_next_to_the_old_one_and_unused_ones_go(life: Life) -> None:
    life.apply("v1")
    names = [life.fill()]
    life.until(lambda: life.names("deployment"), "pods are made")
    for prefix in ("v2", "v3", "v4"):
        life.apply(prefix)
        job = life.job()
        assert life.mounted() == names[-1:], "the old pods go on serving"
        assert {job, names[-1]} <= set(life.names("persistentvolumeclaim"))
        names.append(life.fill())
        life.until(lambda: life.mounted() == names[-1:], "the new pods mount the new claim")
    life.until(lambda: life.names("persistentvolumeclaim") == sorted(names[1:]), "the oldest is deleted")


def test_binding_a_claim_is_no_cause_to_write_to_it(life: Life) -> None:
    life.apply("v1")
    name = life.job()
    bound = [
        {"op": "add", "path": "/spec/volumeName", "value": "pv-1"},
        {"op": "add", "path": "/metadata/annotations", "value": {"pv.kubernetes.io/bind-completed": "yes"}},
    ]
    life.run("patch", "persistentvolumeclaim", name, "--type=json", "-p", json.dumps(bound))
    life.report(name, COMPLETE)
    life.until(lambda: life.names("deployment"), "pods are made")
    claim = life.get("persistentvolumeclaim", name)
    assert claim["spec"]["volumeName"] == "pv-1"
    assert claim["metadata"]["annotations"]["triton-operator.io/filled"] == "true"
    assert claim["metadata"]["ownerReferences"][0]["name"] == "digits"
    assert life.condition("Accepted")["status"] == "True"


def test_a_mistake_waits_for_a_change_of_the_spec(life: Life) -> None:
    life.apply("v1")
    name = life.job()
    life.report(name, MISTAKEN)
    life.until(lambda: life.get("modeldeployment")["status"]["cache"]["state"] == "Failed", "the failure is reported")
    assert f"Job {name} is deleted" in life.condition("Ready")["message"]
    assert life.names("job") == [name]
    life.apply("v1", modelRepository={**a_bucket("v1"), "credentialsSecretRef": {"name": "other"}})
    life.collect(name)
    life.until(lambda: life.get("job", name).get("status", {}).get("failed", 0) == 0, "the Job is made anew")


def test_a_job_that_somebody_changed_the_labels_of_is_still_ours(life: Life) -> None:
    life.apply("v1")
    name = life.job()
    life.run("label", "job", name, "app.kubernetes.io/managed-by-")
    life.report(name, COMPLETE)
    life.until(lambda: life.names("deployment"), "pods are made")


async def test_an_operator_that_starts_anew_changes_neither_job_nor_claim(
    kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    life = Life(kubectl, namespace)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as first:
        first.wait_ready()
        life.apply("v1")
        name = life.job()
    before = [life.get(kind, name) for kind in ("job", "persistentvolumeclaim")]
    with OperatorProcess(kubeconfig, namespace, tmp_path) as second:
        await until_passed(second, 1)
        assert not second.writes()
        life.report(name, COMPLETE)
        life.until(lambda: life.names("deployment"), "pods are made")
    assert [body["spec"] for body in before] == [
        life.get(kind, name)["spec"] for kind in ("job", "persistentvolumeclaim")
    ]
