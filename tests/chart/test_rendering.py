"""Every scenario renders to objects that Kubernetes knows, and to nothing it was not asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.chart.conftest import CHART, NAMESPACE, SCENARIOS, Render, one

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


def test_the_definition_is_a_copy_of_the_contract() -> None:
    """Helm cannot reach outside the chart, so there are two files; they are one."""
    copy = CHART / "files" / "crds" / "modeldeployments.yaml"
    assert copy.read_bytes() == (ROOT / "crds" / "modeldeployments.yaml").read_bytes()


def test_the_definition_is_rendered_whole_and_stays(render: Render) -> None:
    """What Helm installs is the contract, and uninstalling leaves it."""
    body = one(render(), "CustomResourceDefinition")
    assert body == yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
    assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_definition_can_be_left_out(render: Render) -> None:
    """Tenants must not need the right to install it."""
    assert "CustomResourceDefinition" not in {body["kind"] for body in render(crds={"enabled": False})}


def test_names_stay_within_a_label(render: Render) -> None:
    """A long release name is cut before Kubernetes refuses it."""
    for body in render(fullnameOverride="a" * 80):
        if body["kind"] not in CLUSTER_SCOPED:
            assert len(body["metadata"]["name"]) <= 63


def test_one_pod_has_no_disruption_budget(render: Render) -> None:
    """It would only make node drains wait."""
    assert "PodDisruptionBudget" not in {body["kind"] for body in render()}
    budget = one(render("highly-available"), "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_everything_finds_the_pods(render: Render) -> None:
    """Service, budget and policy select what the Deployment makes."""
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


def test_notes_say_what_comes_next(helm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """After an install one knows how to serve a first model, in the namespace that is watched."""
    install = ("install", "triton-operator", str(CHART), "--dry-run=client", "--namespace", "team-a")
    done = helm(*install, "--set", "scope=Namespace,crds.enabled=false")
    notes = done.stdout.partition("NOTES:")[2]
    assert "watches the namespace team-a" in notes
    assert "kind: ModelDeployment" in notes
    assert "crds.enabled=false" in notes
