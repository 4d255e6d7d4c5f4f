"""`tritonctl doctor --probe` on a real node, whose network enforces policies, and the operator's use of its result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.handle import RunningCluster
from hack.images.builder import BuiltImage
from tests.kube import Kube, Object
from tests.paths import ROOT

RECORD = "triton-operator-network-probe"
LABEL = "triton-operator.io/network-probe"


@pytest.fixture
def operators(operator: str, in_namespace: Callable[[str], Kube]) -> Iterator[Kube]:
    """The namespace of the operator, without a result before and after the test."""
    kube = in_namespace(operator)
    kube.run("delete", "configmap", RECORD, "--ignore-not-found")
    yield kube
    kube.run("delete", "configmap", RECORD, "--ignore-not-found")


def doctor(node: RunningCluster, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as a user does."""
    environment = os.environ | {"KUBECONFIG": str(node.kubeconfig), "PYTHONPATH": str(ROOT / "operator")}
    command = [sys.executable, "-m", "triton_operator.cli", "doctor", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left(kube: Kube) -> list[str]:
    """What the probe has left in the namespace."""
    return [item["metadata"]["name"] for kind in ("pods", "networkpolicies") for item in kube.list(kind, LABEL)]


def control(body: Object | None, name: str) -> Any:
    """The control in the status of a deployment."""
    controls = (body or {}).get("status", {}).get("privacy", {}).get("controls", [])
    return next((each for each in controls if each["name"] == name), {})


def privacy_enforced(body: Object | None) -> tuple[str, str]:
    """Status and reason of the condition."""
    conditions = (body or {}).get("status", {}).get("conditions", [])
    found = next((each for each in conditions if each["type"] == "PrivacyEnforced"), {"status": "", "reason": ""})
    return found["status"], found["reason"]


def test_the_probe_shows_that_the_network_enforces_policies_and_the_operator_reports_it(
    node: RunningCluster, operators: Kube, kube: Kube, model_deployment: Callable[..., Object]
) -> None:
    kube.apply(model_deployment("linear_regression"))
    name = "linear-regression"
    kube.wait(lambda: control(kube.get("md", name), "NetworkEnforcement").get("state") == "Unknown", "it is unknown")
    process = doctor(node, "--probe", "-o", "json")
    out, err = process.communicate(timeout=300)
    results = {each["check"]: each for each in json.loads(out)}
    assert results["network policies"]["status"] == "ok", (out, err)
    record = operators.get("configmap", RECORD)
    assert record
    probe = json.loads(record["data"]["result.json"])
    nodes = [each["metadata"]["name"] for each in kube.list("nodes", "")]
    assert (probe["ingress"], probe["egress"], probe["nodes"]) == (True, True, nodes)
    assert probe["kubernetesVersion"] in results["cluster"]["message"]
    assert left(operators) == []
    kube.wait(lambda: control(kube.get("md", name), "NetworkEnforcement").get("state") == "Enforced", "it is enforced")
    assert probe["time"][:10] in control(kube.get("md", name), "NetworkEnforcement")["message"]
    kube.wait(lambda: privacy_enforced(kube.get("md", name)) == ("True", "Enforced"), "all controls are enforced")


def test_an_interrupted_probe_leaves_nothing(node: RunningCluster, operators: Kube) -> None:
    """While a policy is there."""
    process = doctor(node, "--probe")
    operators.wait(lambda: bool(operators.list("networkpolicies", LABEL)), "the probe has created a policy")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    operators.wait(lambda: left(operators) == [], "everything is deleted")
    assert operators.get("configmap", RECORD) is None


def test_where_another_policy_blocks_the_pods_nothing_is_concluded(
    node: RunningCluster, operators: Kube, kube: Kube, images: dict[str, BuiltImage]
) -> None:
    deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
    kube.apply(
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}, "spec": deny}
    )
    process = doctor(node, "--probe", "-n", kube.namespace, "--image", images["operator"].reference, "-o", "json")
    out, _ = process.communicate(timeout=300)
    result = {each["check"]: each for each in json.loads(out)}["network policies"]
    assert result["status"] == "fail"
    assert "a pod cannot connect to another one" in result["message"]
    assert operators.get("configmap", RECORD) is None
    assert left(kube) == []
