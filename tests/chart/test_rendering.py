"""Every scenario renders to valid Kubernetes objects, and only to those that it enables."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.chart.conftest import CHART, NAMESPACE, SCENARIOS, Render, one
from triton_operator.api.keda import ADDRESSES, OFFLINE_TRIGGERS

ROOT = Path(__file__).parents[2]
CLUSTER_SCOPED = {
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_lint_finds_nothing(helm: Callable[..., subprocess.CompletedProcess[str]], scenario: str) -> None:
    """Helm's own check has no error and no warning."""
    done = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / f"{scenario}-values.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.35", "1.36", "1.37"])
def test_objects_fit_the_schemas_of_kubernetes(render: Render, version: str) -> None:
    """No field is misspelt or of another type in any supported release."""
    # JSON Schema has no words for a definition's own keys; a real server checks it.
    bodies = [body for name in SCENARIOS for body in render(name) if body["kind"] != "CustomResourceDefinition"]
    # Scenarios share most of their objects, and each look at one reads all schemas again.
    for body in {json.dumps(body, sort_keys=True): body for body in bodies}.values():
        assert kubernetes_validate.validate(body, version, strict=True) == version


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_objects_have_a_namespace_and_the_recommended_labels(render: Render, scenario: str) -> None:
    """Each object can be found and traced to its release."""
    for body in render(scenario):
        metadata = body["metadata"]
        assert metadata.get("namespace") == (None if body["kind"] in CLUSTER_SCOPED else NAMESPACE)
        if body["kind"] != "CustomResourceDefinition":
            for label in ("name", "instance", "version", "managed-by", "part-of"):
                assert metadata["labels"][f"app.kubernetes.io/{label}"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_block_is_empty(render: Render, scenario: str) -> None:
    """`annotations: null` is a value, and server-side apply would own it."""

    def empty(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [found for key, below in value.items() for found in empty(below, f"{path}.{key}")]
        if isinstance(value, list):
            return [found for index, below in enumerate(value) for found in empty(below, f"{path}[{index}]")]
        return [path] if value is None else []

    bodies = [body for body in render(scenario) if body["kind"] != "CustomResourceDefinition"]
    assert [found for body in bodies for found in empty(body, body["kind"])] == []


def test_the_chart_has_an_identical_copy_of_the_crd() -> None:
    """Helm cannot read files outside the chart, so there are two files with equal content."""
    copy = CHART / "files" / "crds" / "modeldeployments.yaml"
    assert copy.read_bytes() == (ROOT / "crds" / "modeldeployments.yaml").read_bytes()


def test_the_definition_is_rendered_whole_and_stays(render: Render) -> None:
    """Helm installs the complete CRD, and uninstalling keeps it."""
    body = one(render(), "CustomResourceDefinition")
    assert body == yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
    assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_definition_can_be_left_out(render: Render) -> None:
    """Tenants do not need permission to install it."""
    assert "CustomResourceDefinition" not in {body["kind"] for body in render(crds={"enabled": False})}


def test_names_stay_within_a_label(render: Render) -> None:
    """A long release name is truncated."""
    for body in render(fullnameOverride="a" * 80):
        if body["kind"] not in CLUSTER_SCOPED:
            assert len(body["metadata"]["name"]) <= 63


def test_one_pod_has_no_disruption_budget(render: Render) -> None:
    """It would only block node drains."""
    assert "PodDisruptionBudget" not in {body["kind"] for body in render()}
    budget = one(render("highly-available"), "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_everything_finds_the_pods(render: Render) -> None:
    """Service, budget and policy select the pods of the Deployment."""
    objects = render(replicas=2, networkPolicy={"enabled": True})
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels


def test_notes_describe_the_next_steps(helm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """They show how to serve a first model in the watched namespace."""
    install = ("install", "triton-operator", str(CHART), "--dry-run=client", "--namespace", "team-a")
    done = helm(*install, "--set", "scope=Namespace,crds.enabled=false")
    notes = done.stdout.partition("NOTES:")[2]
    assert "watches the namespace team-a" in notes
    assert "kind: ModelDeployment" in notes
    assert "tritonctl ca digits --namespace team-a" in notes
    assert "crds.enabled=false" in notes


def test_the_policy_has_the_types_of_triggers_that_the_operator_has(render: Render) -> None:
    """Types that connect to nothing, and those with one address, as the profile AirGapped has them."""
    (policy,) = (
        body
        for body in render("policies")
        if body["metadata"]["name"].endswith("-deployments") and "variables" in body["spec"]
    )
    variables = {each["name"]: each["expression"] for each in policy["spec"]["variables"]}
    offline, *_ = re.findall(r"each\.type in \[(.*?)\]", variables["otherTriggers"])
    assert {name.strip(" '") for name in offline.split(",")} == OFFLINE_TRIGGERS
    for kind, parameter in ADDRESSES.items():
        assert f"each.type == '{kind}' && '{parameter}' in each.metadata" in variables["otherTriggers"]
        assert f"each.metadata['{parameter}']" in variables["scalers"]
