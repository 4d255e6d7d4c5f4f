"""`tritonctl doctor`: the result of each check for the responses of a cluster, which may be incomplete."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_cluster import FakeCluster, write_kubeconfig
from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator import __version__
from triton_operator.api.network_probe import NetworkProbe, encode
from triton_operator.cli.doctor.check_result import CheckResult
from triton_operator.cli.doctor.command import evaluate
from triton_operator.cli.doctor.evidence import Evidence, Response
from triton_operator.cli.doctor.permissions import PERMISSIONS
from triton_operator.sdk.errors import DeploymentNotFoundError, RejectedError, UnreachableError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEFINITION = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
FORBIDDEN = RejectedError('User "me" cannot list')


def lease(age: float = 1, holder: str = "operator-a") -> dict[str, Any]:
    """A Lease that was renewed this number of seconds ago."""
    renewed = (NOW - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
    return {
        "metadata": {"name": "triton-operator", "namespace": "s"},
        "spec": {"holderIdentity": holder, "renewTime": renewed},
    }


def operator(ready: int = 1, release: str = __version__) -> dict[str, Any]:
    """The operator's Deployment."""
    labels = {"app.kubernetes.io/version": release}
    return {"metadata": {"name": "o", "namespace": "s", "labels": labels}, "status": {"readyReplicas": ready}}


def reviews(*denied: str) -> dict[str, Any]:
    """A user's permissions: all that are needed except for these resources."""
    return {
        "items": [
            {
                "spec": {"resourceAttributes": permission.attributes("models")},
                "status": {"allowed": permission.resource not in denied},
            }
            for permission in PERMISSIONS
        ]
    }


def listed(*objects: dict[str, Any]) -> dict[str, Any]:
    """A list of objects."""
    return {"kind": "List", "items": list(objects)}


def version(minor: str = "36") -> dict[str, Any]:
    """The response of an API server to /version."""
    return {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}"}


HEALTHY: dict[str, Response] = {
    "version": version(),
    "kubectl": {"path": "/usr/bin/kubectl"},
    "definition": {**DEFINITION, "status": {"conditions": [{"type": "Established", "status": "True"}]}},
    "api": {"versions": [{"version": "v1alpha1"}]},
    "operator": listed(operator()),
    "lease": listed(lease()),
    "permissions": reviews(),
    "deployments": listed(),
    "pods": listed(),
    "metrics": {"resources": []},
    "nodes": listed({"metadata": {"name": "n"}, "status": {"allocatable": {"nvidia.com/gpu": "8"}}}),
    "agents": listed({"metadata": {"name": "cilium"}}),
    "probe": listed(),
    "roles": listed(),
    "rolebindings": listed(),
    "clusterroles": listed(),
    "clusterrolebindings": listed(),
}


def findings(**changes: Response) -> dict[str, CheckResult]:
    """The results for a healthy cluster, except for these responses."""
    return {each.check: each for each in evaluate(Evidence("models", {**copy.deepcopy(HEALTHY), **changes}), NOW)}


def test_a_healthy_cluster_needs_nothing() -> None:
    """Every check reports what it found."""
    results = findings()
    assert [each.check for each in results.values() if each.status != "ok"] == []
    assert results["lease"].message == "operator-a is active, last seen 1 s ago"
    assert results["gpus"].message == "n has 8"


def older(field: str) -> Response:
    """A CRD without this field of the spec."""
    definition = copy.deepcopy(HEALTHY["definition"])
    assert isinstance(definition, dict)
    (each,) = definition["spec"]["versions"]
    del each["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field]
    return definition


def pulling(reason: str) -> dict[str, Any]:
    """A pod that waits for its image."""
    waiting = {"waiting": {"reason": reason, "message": "not found: registry/x"}}
    labels = {"triton-operator.io/model-deployment": "digits"}
    return {"metadata": {"name": "p", "labels": labels}, "status": {"containerStatuses": [{"state": waiting}]}}


def probed(*, age: float = 0, ingress: bool = True, namespace: str = "s") -> dict[str, Any]:
    """The result of a probe that is this number of days old."""
    time = (NOW - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    probe = NetworkProbe(time, "v1.36", ("n",), ingress=ingress, egress=True)
    return {
        "metadata": {"name": "triton-operator-network-probe", "namespace": namespace},
        "data": {"result.json": encode(probe)},
    }


GPU_USER = listed({"metadata": {"name": "big"}, "spec": {"gpu": {"count": 1}, "autoscaling": {"maxReplicas": 3}}})
MIG_USER = listed({"metadata": {"name": "small"}, "spec": {"gpu": {"mig": {"profile": "1g.10gb"}}}})
BARE_NODE = listed({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2"}}})

CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"version": version("34")}, "cluster", "fail", "1.35 or newer"),
    ({"version": version("35+")}, "cluster", "ok", ""),
    ({"version": version("38")}, "cluster", "warn", "up to 1.37"),
    ({"version": UnreachableError("refused")}, "cluster", "fail", "--kubeconfig"),
    ({"kubectl": {}}, "kubectl", "warn", "kubernetes.io/docs/tasks/tools"),
    (
        {"definition": DeploymentNotFoundError("no"), "api": DeploymentNotFoundError("no")},
        "definition",
        "fail",
        "install the chart",
    ),
    ({"definition": FORBIDDEN}, "definition", "ok", ""),
    ({"definition": FORBIDDEN, "api": DeploymentNotFoundError("no")}, "definition", "fail", "install the chart"),
    ({"definition": FORBIDDEN, "api": {"versions": [{"version": "v2"}]}}, "definition", "fail", "install"),
    ({"definition": DEFINITION}, "definition", "fail", "describe"),
    ({"definition": older("cache")}, "definition", "warn", "kubectl apply -f crds/modeldeployments.yaml"),
    ({"operator": listed()}, "operator", "fail", "install the chart"),
    ({"operator": listed(operator(0))}, "operator", "fail", "describe pods"),
    ({"operator": listed(operator(release="0.0.1"))}, "operator", "warn", "same release"),
    ({"operator": FORBIDDEN}, "operator", "warn", "ask the administrator"),
    ({"lease": listed()}, "lease", "fail", "log"),
    ({"lease": listed(lease(300))}, "lease", "fail", "clock"),
    ({"lease": listed(lease(300), lease(3))}, "lease", "ok", ""),
    ({"lease": listed(lease(holder=""))}, "lease", "fail", "no operator is active"),
    ({"permissions": reviews("modeldeployments")}, "permissions", "fail", "ClusterRoles"),
    ({"permissions": reviews("pods/portforward")}, "permissions", "warn", "ClusterRoles"),
    ({"permissions": FORBIDDEN}, "permissions", "warn", "auth can-i"),
    ({"pods": listed(pulling("ImagePullBackOff"))}, "images", "fail", "imagePullSecrets"),
    ({"pods": listed(pulling("ContainerCreating"))}, "images", "ok", ""),
    ({"metrics": DeploymentNotFoundError("no")}, "autoscaling", "warn", "metrics-server"),
    ({"metrics": DeploymentNotFoundError("no"), "deployments": GPU_USER}, "autoscaling", "fail", "metrics-server"),
    ({"nodes": BARE_NODE}, "gpus", "ok", ""),
    ({"nodes": BARE_NODE, "deployments": GPU_USER}, "gpus", "fail", "device plugin"),
    ({"deployments": MIG_USER}, "gpus", "fail", "device plugin"),
    ({"agents": listed({"metadata": {"name": "kube-flannel-ds"}})}, "network policies", "warn", "no effect"),
    ({"agents": listed()}, "network policies", "warn", "doctor --probe"),
    ({"agents": listed(), "probe": listed(probed(age=89))}, "network policies", "ok", ""),
    ({"probe": listed(probed(age=91))}, "network policies", "warn", "doctor --probe"),
    ({"probe": listed(probed(ingress=False))}, "network policies", "fail", "install a network plugin"),
    ({"probe": listed(probed(ingress=False, namespace="elsewhere"))}, "network policies", "ok", ""),
    ({"probe": listed(probed(ingress=False, age=1), probed())}, "network policies", "ok", ""),
]


@pytest.mark.parametrize(("changes", "check", "health", "do"), CASES, ids=lambda value: str(value)[:40])
def test_each_problem_is_found_with_advice(changes: dict[str, Any], check: str, health: str, do: str) -> None:
    """The results of the other checks do not change."""
    results = findings(**changes)
    assert results[check].status == health, results[check]
    assert do in results[check].advice
    assert [name for name, each in results.items() if each.status == "fail" and name != check] == [] or len(changes) > 1


def test_an_unreadable_object_is_not_a_failure() -> None:
    """A user of one namespace can read few objects; only known problems count."""
    hidden = dict.fromkeys(
        ("operator", "lease", "permissions", "deployments", "pods", "metrics", "nodes", "agents"), FORBIDDEN
    )
    assert {each.status.value for each in findings(**hidden).values()} <= {"ok", "warn"}


ODD: tuple[Response, ...] = (FORBIDDEN, listed(), {}, {"items": None}, {"spec": {}, "status": {}}, {"versions": []})
"""Answers of a cluster that is not quite as we think."""


@given(st.dictionaries(st.sampled_from(sorted(HEALTHY)), st.sampled_from(ODD), max_size=4))
def test_no_response_causes_an_exception(changes: dict[str, Response]) -> None:
    """There are twelve results for any response."""
    assert len(findings(**changes)) == 12


@pytest.fixture
def healthy(cluster: FakeCluster) -> FakeCluster:
    """A cluster that responds like a healthy one."""
    cluster.document("/version", version())
    cluster.document("/apis/triton-operator.io", {"versions": [{"version": "v1alpha1"}]})
    cluster.document("/apis/metrics.k8s.io/v1beta1", {"resources": []})
    fresh = lease()
    fresh["spec"]["renewTime"] = datetime.now(UTC).isoformat()
    cluster.put("leases", fresh)
    cluster.put("deployments", operator())
    for plural, question in {
        "customresourcedefinitions": "definition",
        "nodes": "nodes",
        "daemonsets": "agents",
    }.items():
        answer = HEALTHY[question]
        assert isinstance(answer, dict)
        cluster.put(plural, *answer.get("items", [answer]))
    return cluster


def test_each_query_is_one_request(healthy: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 0 if there are no problems."""
    outcome = tritonctl(capsys, "doctor", "-n", "models")
    assert outcome.code == 0, outcome.out + outcome.err
    assert len(outcome.out.splitlines()) == 12
    assert all(line.startswith("ok ") for line in outcome.out.splitlines())
    reviewed = [request for request in healthy.requests if request.endswith("/selfsubjectaccessreviews")]
    assert len(reviewed) == len(PERMISSIONS)
    assert len(healthy.requests) == 15 + len(PERMISSIONS)


def test_what_the_api_server_denies_is_found(healthy: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the API server decides about permissions."""
    healthy.document("denied", {"resources": ["modeldeployments"]})
    outcome = tritonctl(capsys, "doctor", "-n", "models")
    assert outcome.code == 1
    assert "permission denied: get modeldeployments.triton-operator.io (status)" in outcome.out


def test_a_problem_is_exit_status_1(healthy: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Also with JSON output."""
    healthy.put("leases")
    outcome = tritonctl(capsys, "doctor", "-n", "models", "-o", "json")
    assert outcome.code == 1
    assert outcome.err == "error: failed: lease\n"
    assert {each["check"]: each["status"] for each in json.loads(outcome.out)}["lease"] == "fail"


def test_an_unreachable_cluster_is_one_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other checks would only repeat it."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, "http://127.0.0.1:1")))
    outcome = tritonctl(capsys, "doctor")
    assert outcome.code == 3
    assert outcome.out.startswith("fail cluster: the cluster does not answer: ")
    assert "Connection refused" in outcome.out
    assert len(outcome.out.splitlines()) == 2


def test_a_missing_kubectl_is_reported(
    healthy: FakeCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The result says where to get it; the cluster is checked nevertheless."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    outcome = tritonctl(capsys, "doctor")
    assert outcome.code == 0
    assert "warn kubectl: is not on PATH" in outcome.out
    assert "kubernetes.io/docs/tasks/tools" in outcome.out
