"""`tritonctl doctor`: what each check makes of what a cluster answers, and that nothing but an answer is needed."""

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

from tests.fake_kubectl import FakeKubectl
from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator import __version__
from triton_operator.cli.doctor.command import judge
from triton_operator.cli.doctor.evidence import Answer, Evidence
from triton_operator.cli.doctor.finding import Finding
from triton_operator.cli.doctor.user_checks import RIGHTS
from triton_operator.sdk.errors import DeploymentNotFoundError, RejectedError, UnreachableError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEFINITION = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
FORBIDDEN = RejectedError('User "me" cannot list')


def lease(age: float = 1, holder: str = "operator-a") -> dict[str, Any]:
    """A Lease that was renewed so many seconds ago."""
    renewed = (NOW - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
    return {
        "metadata": {"name": "triton-operator", "namespace": "s"},
        "spec": {"holderIdentity": holder, "renewTime": renewed},
    }


def operator(ready: int = 1, release: str = __version__) -> dict[str, Any]:
    """The operator's Deployment."""
    labels = {"app.kubernetes.io/version": release}
    return {"metadata": {"name": "o", "namespace": "s", "labels": labels}, "status": {"readyReplicas": ready}}


def rules(*left_out: str) -> dict[str, Any]:
    """What a user may do: all that is needed but these resources."""
    kept = [right for right in RIGHTS if right.resource not in left_out]
    found = [{"verbs": [each.verb], "apiGroups": [each.group], "resources": [each.resource]} for each in kept]
    return {"status": {"resourceRules": found, "incomplete": False}}


def listed(*objects: dict[str, Any]) -> dict[str, Any]:
    """A list of objects."""
    return {"kind": "List", "items": list(objects)}


def version(minor: str = "36") -> dict[str, Any]:
    """What `kubectl version` says."""
    return {
        "clientVersion": {"gitVersion": "v1.36.1"},
        "serverVersion": {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}"},
    }


HEALTHY: dict[str, Answer] = {
    "version": version(),
    "definition": {**DEFINITION, "status": {"conditions": [{"type": "Established", "status": "True"}]}},
    "api": {"versions": [{"version": "v1alpha1"}]},
    "operator": listed(operator()),
    "lease": listed(lease()),
    "rights": rules(),
    "deployments": listed(),
    "pods": listed(),
    "metrics": {"resources": []},
    "nodes": listed({"metadata": {"name": "n"}, "status": {"allocatable": {"nvidia.com/gpu": "8"}}}),
    "agents": listed({"metadata": {"name": "cilium"}}),
}


def findings(**changes: Answer) -> dict[str, Finding]:
    """What is found in a healthy cluster but for these answers."""
    return {each.check: each for each in judge(Evidence("models", {**copy.deepcopy(HEALTHY), **changes}), NOW)}


def test_a_healthy_cluster_needs_nothing() -> None:
    """Every check says what it saw."""
    found = findings()
    assert [each.check for each in found.values() if each.health != "ok"] == []
    assert found["lease"].found == "operator-a works, seen 1 s ago"
    assert found["gpus"].found == "n has 8"


def older(field: str) -> Answer:
    """A definition without this field of the spec."""
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


GPU_USER = listed({"metadata": {"name": "big"}, "spec": {"gpu": {"count": 1}, "autoscaling": {"maxReplicas": 3}}})
BARE_NODE = listed({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2"}}})

CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"version": version("34")}, "cluster", "fail", "1.35 or newer"),
    ({"version": version("35+")}, "cluster", "ok", ""),
    ({"version": version("38")}, "cluster", "warn", "up to 1.37"),
    ({"version": UnreachableError("refused")}, "cluster", "fail", "--kubeconfig"),
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
    ({"operator": FORBIDDEN}, "operator", "warn", "ask who"),
    ({"lease": listed()}, "lease", "fail", "log"),
    ({"lease": listed(lease(300))}, "lease", "fail", "clock"),
    ({"lease": listed(lease(300), lease(3))}, "lease", "ok", ""),
    ({"lease": listed(lease(holder=""))}, "lease", "fail", "no operator works"),
    ({"rights": rules("modeldeployments")}, "permissions", "fail", "ClusterRoles"),
    ({"rights": rules("pods/portforward")}, "permissions", "warn", "ClusterRoles"),
    ({"rights": FORBIDDEN}, "permissions", "warn", "auth can-i"),
    ({"pods": listed(pulling("ImagePullBackOff"))}, "images", "fail", "imagePullSecrets"),
    ({"pods": listed(pulling("ContainerCreating"))}, "images", "ok", ""),
    ({"metrics": DeploymentNotFoundError("no")}, "autoscaling", "warn", "metrics-server"),
    ({"metrics": DeploymentNotFoundError("no"), "deployments": GPU_USER}, "autoscaling", "fail", "metrics-server"),
    ({"nodes": BARE_NODE}, "gpus", "ok", ""),
    ({"nodes": BARE_NODE, "deployments": GPU_USER}, "gpus", "fail", "GPU operator"),
    ({"agents": listed({"metadata": {"name": "kube-flannel-ds"}})}, "network policies", "warn", "no effect"),
    ({"agents": listed()}, "network policies", "warn", "try a connection"),
]


@pytest.mark.parametrize(("changes", "check", "health", "do"), CASES, ids=lambda value: str(value)[:40])
def test_each_illness_is_found_with_what_to_do(changes: dict[str, Any], check: str, health: str, do: str) -> None:
    """And the other checks stay as they are."""
    found = findings(**changes)
    assert found[check].health == health, found[check]
    assert do in found[check].do
    assert [name for name, each in found.items() if each.health == "fail" and name != check] == [] or len(changes) > 1


def test_what_may_not_be_looked_at_is_no_failure() -> None:
    """A user of one namespace may look at little; only what is known to be ill counts."""
    hidden = dict.fromkeys(
        ("operator", "lease", "rights", "deployments", "pods", "metrics", "nodes", "agents"), FORBIDDEN
    )
    assert {each.health.value for each in findings(**hidden).values()} <= {"ok", "warn"}


def test_rights_by_stars_and_names() -> None:
    """A star is everything; a right to one named object is not the right to all."""
    star = {"status": {"resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}}
    named = copy.deepcopy(star)
    named["status"]["resourceRules"][0]["resourceNames"] = ["one"]
    assert findings(rights=star)["permissions"].health == "ok"
    assert findings(rights=named)["permissions"].health == "fail"


ODD: tuple[Answer, ...] = (FORBIDDEN, listed(), {}, {"items": None}, {"spec": {}, "status": {}}, {"versions": []})
"""Answers of a cluster that is not quite as we think."""


@given(st.dictionaries(st.sampled_from(sorted(HEALTHY)), st.sampled_from(ODD), max_size=4))
def test_no_answer_makes_it_stumble(changes: dict[str, Answer]) -> None:
    """Nine findings, whatever comes."""
    assert len(findings(**changes)) == 9


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """A cluster that answers as a healthy one does."""
    kubectl = FakeKubectl.install(tmp_path, monkeypatch)
    files = {
        "version": "version",
        "get-customresourcedefinitions": "definition",
        "get-triton-operator.io": "api",
        "get-deployments": "operator",
        "get-leases": "lease",
        "create": "rights",
        "get-modeldeployments": "deployments",
        "get-pods": "pods",
        "get-metrics.k8s.io": "metrics",
        "get-nodes": "nodes",
        "get-daemonsets": "agents",
    }
    for file, question in files.items():
        kubectl.write(file, json.dumps(HEALTHY[question], default=str))
    fresh = lease()
    fresh["spec"]["renewTime"] = datetime.now(UTC).isoformat()
    kubectl.write("get-leases", json.dumps(listed(fresh)))
    return kubectl


def test_one_request_for_each_question(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """And exit status 0 where all is well."""
    outcome = tritonctl(capsys, "doctor", "-n", "models")
    assert outcome.code == 0, outcome.out + outcome.err
    assert len(outcome.out.splitlines()) == 9
    assert all(line.startswith("ok ") for line in outcome.out.splitlines())
    assert len(kubectl.calls) == 11


def test_an_illness_is_exit_status_1(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """Also as data."""
    kubectl.write("get-leases", json.dumps(listed()))
    outcome = tritonctl(capsys, "doctor", "-n", "models", "-o", "json")
    assert outcome.code == 1
    assert outcome.err == "error: to be mended: lease\n"
    assert {each["check"]: each["health"] for each in json.loads(outcome.out)}["lease"] == "fail"


def test_an_unreachable_cluster_is_one_finding(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    """The others would only repeat it."""
    kubectl.fail("version", "The connection to the server localhost:8080 was refused\n")
    outcome = tritonctl(capsys, "doctor")
    assert outcome.code == 3
    assert outcome.out.startswith("fail cluster: The connection to the server localhost:8080 was refused")
    assert len(kubectl.calls) == 1


def test_without_kubectl_that_is_the_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With where to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = tritonctl(capsys, "doctor")
    assert outcome.code == 3
    assert "kubernetes.io/docs/tasks/tools" in outcome.out
