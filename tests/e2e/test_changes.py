"""Changes to a served model, by its user and by others."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from hack.cluster.handle import RunningCluster
from tests.e2e.private_callers import client_of
from tests.kube import Kube, Object
from tests.proxy.clients import LINEAR, Client
from tests.proxy.load import over_grpc, over_http, under_load, wait_for_requests
from tests.served import serve
from tests.tritonctl import tritonctl
from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_REVISION, LABEL_TRACK

NAME = "linear-regression"
CANARY = f"{NAME}-canary"
MODEL = "linear_regression"
DEADLINE_SECONDS = 60
CONNECTIONS = 1000
"""The standard deviation of a share of one half is 1.6%."""
LATE = "progressDeadlineSeconds"
REPAIR_SECONDS = 180.0
"""Far below the ten minutes between two resyncs, so a watch has reported the change."""


@pytest.fixture(scope="module", autouse=True)
def served(kube: Kube, model_deployment: Callable[..., Object]) -> Iterator[None]:
    kube.apply(model_deployment("linear_regression"))
    kube.wait_ready(NAME)
    yield
    kube.delete("modeldeployment", NAME)


def test_a_change_of_the_spec_rolls_the_pods(kube: Kube) -> None:
    before = {pod["metadata"]["uid"] for pod in kube.list("pods")}
    kube.patch("modeldeployment", NAME, {"spec": {"triton": {"logLevel": "Info"}}})
    kube.wait_ready(NAME)
    after = {pod["metadata"]["uid"] for pod in kube.list("pods") if "deletionTimestamp" not in pod["metadata"]}
    assert after.isdisjoint(before)


def test_scale_changes_the_number_of_pods_and_rolls_none(kube: Kube) -> None:
    before = _serving_uids(kube)
    kube.run("scale", f"md/{NAME}", "--replicas=3")
    body = kube.wait_ready(NAME)
    assert body["status"]["readyReplicas"] == 3
    assert before <= _serving_uids(kube)
    assert kube.get("poddisruptionbudget", NAME)
    kube.run("scale", f"md/{NAME}", "--replicas=1")
    kube.wait_ready(NAME)
    kube.wait(lambda: kube.get("poddisruptionbudget", NAME) is None, "the disruption budget is gone")


@pytest.mark.parametrize("kind", ["service", "networkpolicy", "serviceaccount", "deployment"])
def test_a_deleted_child_is_back(kind: str, kube: Kube) -> None:
    before = kube.get(kind, NAME)
    assert before
    kube.delete(kind, NAME, wait=False)
    kube.wait(lambda: _is_another(kube.get(kind, NAME), before), f"a new {kind}", REPAIR_SECONDS)
    kube.wait_ready(NAME)


@pytest.mark.parametrize(
    ("kind", "change", "is_repaired"),
    [
        ("service", {"spec": {"type": "NodePort"}}, lambda body: body["spec"]["type"] == "ClusterIP"),
        (
            "service",
            {"spec": {"externalIPs": ["192.0.2.1"]}},
            lambda body: not body["spec"].get("externalIPs"),
        ),
        ("networkpolicy", {"spec": {"egress": [{}]}}, lambda body: not body["spec"].get("egress")),
        ("networkpolicy", {"spec": {"policyTypes": ["Ingress"]}}, lambda body: "Egress" in body["spec"]["policyTypes"]),
        ("deployment", {"spec": {"replicas": 4}}, lambda body: body["spec"]["replicas"] == 1),
        (
            "deployment",
            {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "true"}}}}},
            lambda body: "nodeSelector" not in body["spec"]["template"]["spec"],
        ),
    ],
    ids=["service type", "external address", "egress rule", "policy types", "replicas", "node selector"],
)
def test_an_edited_child_is_repaired(
    kind: str, change: Object, is_repaired: Callable[[Object], bool], kube: Kube
) -> None:
    kube.patch(kind, NAME, change)
    kube.wait(lambda: is_repaired(kube.get(kind, NAME) or {}), f"{kind} is repaired", REPAIR_SECONDS)
    kube.wait_ready(NAME)


def test_a_container_that_somebody_adds_is_removed(kube: Kube) -> None:
    intruder = {"name": "intruder", "image": "example.org/intruder:1"}
    change = '[{"op": "add", "path": "/spec/template/spec/containers/-", "value": %s}]'
    kube.run("patch", "deployment", NAME, "--type=json", "-p", change % json.dumps(intruder))

    def only_ours() -> bool:
        body = kube.get("deployment", NAME)
        return body is not None and [c["name"] for c in body["spec"]["template"]["spec"]["containers"]] == ["triton"]

    kube.wait(only_ours, "the container is gone", REPAIR_SECONDS)
    kube.wait_ready(NAME)


def test_labels_and_annotations_of_others_stay(kube: Kube) -> None:
    kube.run("annotate", "service", NAME, "example.org/note=mine")
    kube.patch("service", NAME, {"spec": {"sessionAffinity": "ClientIP"}})
    kube.wait(lambda: (kube.get("service", NAME) or {})["spec"]["sessionAffinity"] == "None", "the Service is repaired")
    body = kube.get("service", NAME)
    assert body
    assert body["metadata"]["annotations"]["example.org/note"] == "mine"


def test_kubectl_rollout_restart_works(kube: Kube) -> None:
    before = _serving_uids(kube)
    kube.run("rollout", "restart", f"deployment/{NAME}")
    kube.wait(lambda: before.isdisjoint(_serving_uids(kube)) and _serving_uids(kube), "other pods serve", 90)
    kube.wait_ready(NAME)


def test_a_bad_model_is_rolled_back_and_no_request_fails(
    kube: Kube, node: RunningCluster, measured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The old pod serves all the time. `tritonctl rollout undo` makes the spec match it again."""
    kube.patch("modeldeployment", NAME, {"spec": {"lifecycle": {"startupTimeoutSeconds": 50}}})
    good = kube.wait_ready(NAME)
    before, template = _serving_uids(kube), _revision(kube)
    with serve(node, kube, NAME) as served, under_load(client_of(served, ""), over_http, over_grpc) as loads:
        rollout = {"rollbackOnFailure": True, "progressDeadlineSeconds": DEADLINE_SECONDS}
        models = [*good["spec"]["models"], {"name": "absent"}]
        kube.patch("modeldeployment", NAME, {"spec": {"models": models, "rollout": rollout}})
        kube.wait_reason(NAME, "ModelNotFound")
        (new,) = _serving_uids(kube) - before
        (created,) = (pod["metadata"] for pod in kube.list("pods") if pod["metadata"]["uid"] == new)
        kube.wait(lambda: _revision(kube) == template, "the template of the good revision is back")
        since_creation = datetime.now(UTC) - datetime.fromisoformat(created["creationTimestamp"])
        body = kube.wait_ready(NAME)
        assert (kube.condition(NAME) or {})["reason"] == "RolledBack"
        rollback = body["status"]["rollout"]["rollback"]
        assert rollback["restoredRevision"] == body["status"]["lastReadyRevision"]
        assert "ModelNotFound" in rollback["message"]
        assert "RolledBack" in [event["reason"] for event in kube.list("events.events.k8s.io")]
        where = ("-n", kube.namespace, "--kubeconfig", node.kubeconfig)
        undone = tritonctl(capsys, "rollout", "undo", NAME, *where)
        assert undone.code == 0, undone.err
        kube.wait(lambda: (kube.condition(NAME) or {}).get("reason") == "Serving", "the spec is served")
        wait_for_requests(loads, 500)
    late = since_creation.total_seconds() - DEADLINE_SECONDS
    sent = ", ".join(f"{load.requests} {load.name}" for load in loads)
    measured(
        f"rolled back {late:.1f} s after the deadline; {sent} requests, {sum(len(x.failures) for x in loads)} failed"
    )
    assert [load.failures for load in loads] == [[], []]
    assert late < 10
    assert _serving_uids(kube) == before
    assert (kube.get("modeldeployment", NAME) or {})["spec"]["models"] == good["spec"]["models"]


def test_a_canary_gets_its_share_and_no_request_fails(
    kube: Kube, node: RunningCluster, measured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps that a person resumes, and the promotion; another canary, with a missing model, is aborted."""
    steps = [{"weight": 30}, {"weight": 50}, {"weight": 100}]
    rollout = {"strategy": "Canary", "canary": {"steps": steps}, **dict.fromkeys(("rollbackOnFailure", LATE))}
    kube.patch("modeldeployment", NAME, {"spec": {"replicas": 2, "rollout": rollout}})
    good = kube.wait_ready(NAME)
    where = ("-n", kube.namespace, "--kubeconfig", node.kubeconfig)
    shares = []
    with serve(node, kube, NAME) as served, under_load(client_of(served, ""), over_http, over_grpc) as loads:
        kube.patch("modeldeployment", NAME, {"spec": {"triton": {"logLevel": "Error"}}})
        for step in (1, 2):
            kube.wait(lambda step=step: _waits(kube, step), f"step {step} waits", 300)  # type: ignore[misc]
            shares.append(_share(kube, client_of(served, "")))
            assert tritonctl(capsys, "rollout", "resume", NAME, *where).code == 0
        kube.wait_ready(NAME)
        kube.wait(lambda: kube.get("deployment", CANARY) is None, "the canary is removed")
        template = _revision(kube)
        models = [*good["spec"]["models"], {"name": "absent"}]
        kube.patch("modeldeployment", NAME, {"spec": {"models": models}})
        kube.wait(lambda: kube.get("deployment", CANARY), "another canary begins")
        kube.wait(lambda: kube.get("deployment", CANARY) is None, "it is aborted")
        removed = datetime.now(UTC)
        kube.wait(lambda: (kube.condition(NAME) or {}).get("reason") == "RolledBack", "the status says so")
        body = kube.get("modeldeployment", NAME) or {}
        wait_for_requests(loads, 500)
    failed_at = datetime.fromisoformat(body["status"]["lastFailure"]["time"])
    late = (removed - failed_at).total_seconds()
    sent = ", ".join(f"{load.requests} {load.name}" for load in loads)
    measured(
        f"canary with 1 and 2 pods next to 2: {shares[0]:.0%}, {shares[1]:.0%}; aborted after {late:.1f} s; "
        f"{sent} requests, {sum(len(load.failures) for load in loads)} failed"
    )
    assert [load.failures for load in loads] == [[], []]
    assert shares == [pytest.approx(1 / 3, abs=0.05), pytest.approx(1 / 2, abs=0.05)]
    assert late < 10
    assert _revision(kube) == template
    assert "ModelNotFound" in body["status"]["rollout"]["canary"]["message"]
    spec = {"models": good["spec"]["models"], "replicas": 1, "rollout": dict.fromkeys(("strategy", "canary"))}
    kube.patch("modeldeployment", NAME, {"spec": spec})
    kube.wait(lambda: (kube.condition(NAME) or {}).get("reason") == "Serving", "the spec is served")


def _waits(kube: Kube, step: int) -> bool:
    rollout = (kube.get("modeldeployment", NAME) or {}).get("status", {}).get("rollout") or {}
    canary = rollout.get("canary") or {}
    return (canary.get("phase"), canary.get("step")) == ("Paused", step)


def _share(kube: Kube, client: Client) -> float:
    """The share of new connections that reach the canary, by the pods' own counters.

    Each has a request with two rows, as no other client sends.
    """
    (tensor,) = LINEAR["inputs"]
    body = json.dumps({"inputs": [{**tensor, "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0]}]})
    before = kube.wait(lambda: _steady_rows(kube), "the counters agree")
    for _ in range(CONNECTIONS):
        answer = client.request("POST", f"/v2/models/{MODEL}/infer", body)
        assert answer.status == 200, answer
    counted = kube.wait(lambda: _counted(kube, before), "each request is counted once", 60)
    return counted["canary"] / CONNECTIONS


def _counted(kube: Kube, before: Counter[str]) -> Counter[str] | None:
    """The additional rows, None while they are not those of all requests."""
    found = _second_rows(kube)
    found.subtract(before)
    return found if found.total() == CONNECTIONS else None


def _steady_rows(kube: Kube) -> Counter[str] | None:
    """Two equal readings: Triton updates its counters one after the other while other requests arrive."""
    first, second = _second_rows(kube), _second_rows(kube)
    return first if first == second and first.keys() == {"stable", "canary"} else None


def _second_rows(kube: Kube) -> Counter[str]:
    """By the track of the pods, how many more rows than requests there were."""
    counted: Counter[str] = Counter()
    for pod in kube.list("pods", f"{LABEL_DEPLOYMENT}={NAME}"):
        if "deletionTimestamp" not in pod["metadata"]:
            path = f"/api/v1/namespaces/{kube.namespace}/pods/http:{pod['metadata']['name']}:8002/proxy/metrics"
            text = kube.run("get", "--raw", path, namespaced=False)
            rows, requests = (
                sum(int(value) for value in re.findall(rf"^{name}{{[^}}]*}} (\d+)", text, re.MULTILINE))
                for name in ("nv_inference_count", "nv_inference_request_success")
            )
            counted[pod["metadata"]["labels"][LABEL_TRACK]] += rows - requests
    return counted


def test_a_quota_that_fits_exactly_does_not_stop_a_rollout(kube: Kube) -> None:
    """Kubernetes refuses a second pod, so the old one stops first, and the next rollout begins with a new pod again."""
    kube.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}
    )
    kube.wait(lambda: (kube.get("resourcequota", "one") or {}).get("status", {}).get("used"), "the quota is counted")
    before = _serving_uids(kube)
    kube.patch("modeldeployment", NAME, {"spec": {"rollout": {"restartedAt": "2026-11-30T21:00:00Z"}}})
    # The operator waits for room for 30 seconds first.
    kube.wait_reason(NAME, "ReplacingInPlace", kind="Available", seconds=210)
    body = kube.get("modeldeployment", NAME)
    assert body
    message = "replacing in place: no room for pods in the ResourceQuota one"
    assert body["status"]["rollout"] == {"method": "InPlace", "message": message}
    # Kubernetes has doubled its pause between two attempts meanwhile.
    kube.wait_ready(NAME, seconds=300)
    assert before.isdisjoint(_serving_uids(kube))
    kube.wait(lambda: _surge(kube) == 1, "the strategy is that of the start again")
    events = kube.list("events.events.k8s.io")
    assert message in [event.get("note") for event in events if event["reason"] == "ReplacingInPlace"]
    kube.delete("resourcequota", "one")


def test_deletion_removes_every_child(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    body = model_deployment("linear_regression", replicas=2, autoscaling={"maxReplicas": 3})
    body["metadata"]["name"] = "short-lived"
    kube.apply(body)
    selector = "triton-operator.io/model-deployment=short-lived"
    kinds = (
        "deployment,service,serviceaccount,configmap,networkpolicy,horizontalpodautoscaler,"
        "poddisruptionbudget,controllerrevision,replicaset,pod"
    )
    kube.wait(lambda: len(kube.list(kinds, selector)) >= 10, "children are there")
    kube.delete("modeldeployment", "short-lived")
    kube.wait(lambda: not kube.list(kinds, selector), "nothing is left", 90)


def _revision(kube: Kube) -> object:
    template = (kube.get("deployment", NAME) or {})["spec"]["template"]
    return template["metadata"]["labels"][LABEL_REVISION]


def _surge(kube: Kube) -> object:
    return (kube.get("deployment", NAME) or {})["spec"]["strategy"]["rollingUpdate"]["maxSurge"]


def _serving_uids(kube: Kube) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kube.list("pods") if "deletionTimestamp" not in pod["metadata"]}


def _is_another(now: Object | None, before: Object) -> bool:
    return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]
