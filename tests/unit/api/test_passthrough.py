"""Parts of a PodSpec and of a NetworkPolicy in a ModelDeployment: the CLI checks the same fields as the cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from tests.tritonctl import tritonctl
from triton_operator.api.field_check import struct_of
from triton_operator.api.hpa import (
    ContainerResourceMetricSource,
    ExternalMetricSource,
    HorizontalPodAutoscalerBehavior,
    ObjectMetricSource,
    PodsMetricSource,
    ResourceMetricSource,
)
from triton_operator.api.passthrough import Affinity, NetworkPolicyPeer, Toleration, TopologySpreadConstraint
from triton_operator.api.pod_parts import PodParts
from triton_operator.cli.documents import wrong_parts

TERM = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
POD_TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}, "matchLabelKeys": ["track"]}
GOOD: dict[str, Any] = {
    "scheduling": {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": TERM}],
            },
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": POD_TERM}]
            },
        },
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "Honor"}
        ],
    },
    "autoscaling": {
        "metrics": [
            {"type": "CPUUtilization", "averageUtilization": 70},
            {
                "type": "Pods",
                "pods": {"metric": {"name": "a"}, "target": {"type": "AverageValue", "averageValue": "500m"}},
            },
        ],
        "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
    },
    "privacy": {"network": {"allowFrom": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}},
}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """GOOD with another value at this path."""
    spec = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = spec
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return dict(spec)


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            changed("scheduling", "affinity", "nodeAffinty", value={}),
            "spec.scheduling.affinity.nodeAffinty: unknown field; did you mean nodeAffinity?",
        ),
        (
            changed("scheduling", "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerm", value=[]),
            f"nodeAffinity.{REQUIRED}.nodeSelectorTerm: unknown field; did you mean nodeSelectorTerms?",
        ),
        (
            changed("scheduling", "affinity", "nodeAffinity", REQUIRED, value={}),
            f"spec.scheduling.affinity.nodeAffinity.{REQUIRED}: Object missing required field `nodeSelectorTerms`",
        ),
        (
            changed("scheduling", "topologySpreadConstraints", 0, "maxSkew", value="1"),
            "spec.scheduling.topologySpreadConstraints[0].maxSkew: Expected `int`, got `str`",
        ),
        (
            changed("scheduling", "tolerations", 0, "effect", value="NoScheduling"),
            "spec.scheduling.tolerations[0].effect: Invalid enum value 'NoScheduling'",
        ),
        (
            changed("privacy", "network", "allowFrom", 0, value={"podSelecter": {}}),
            "spec.privacy.network.allowFrom[0].podSelecter: unknown field; did you mean podSelector?",
        ),
        (
            changed("autoscaling", "metrics", 1, "pods", "target", "averagevalue", value=1),
            "spec.autoscaling.metrics[1].pods.target.averagevalue: unknown field; did you mean averageValue?",
        ),
        (
            changed("autoscaling", "behavior", "scaleDown", "policies", 0, "periodSeconds", value=0),
            "spec.autoscaling.behavior.scaleDown.policies[0].periodSeconds: Expected `int` >= 1",
        ),
        (changed("scheduling", "affinity", value=[]), "spec.scheduling.affinity: Expected `object`, got `array`"),
    ],
)
def test_a_typo_is_found_without_a_cluster(spec: dict[str, Any], complaint: str) -> None:
    assert not list(wrong_parts(GOOD))
    assert complaint in "; ".join(wrong_parts(spec))


def test_lint_and_render_report_all_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = {
        "modelRepository": {"pvc": {"claimName": "models"}},
        "models": [{"name": "digits"}],
        "scheduling": {"affinity": {"podAfinity": {}}, "tolerations": [{"kye": "a"}]},
    }
    kind = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment"}
    body = {**kind, "metadata": {"name": "a"}, "spec": spec}
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(body))
    for text in (tritonctl(capsys, "lint", file).out, tritonctl(capsys, "render", "-f", file).err):
        assert "spec.scheduling.affinity.podAfinity: unknown field; did you mean podAffinity?" in text
        assert "spec.scheduling.tolerations[0].kye: unknown field; did you mean key?" in text


AUTOSCALING = "io.k8s.api.autoscaling.v2"
DEFINITIONS: dict[str, type[msgspec.Struct]] = {
    f"{AUTOSCALING}.HorizontalPodAutoscalerBehavior": HorizontalPodAutoscalerBehavior,
    f"{AUTOSCALING}.ResourceMetricSource": ResourceMetricSource,
    f"{AUTOSCALING}.ContainerResourceMetricSource": ContainerResourceMetricSource,
    f"{AUTOSCALING}.PodsMetricSource": PodsMetricSource,
    f"{AUTOSCALING}.ObjectMetricSource": ObjectMetricSource,
    f"{AUTOSCALING}.ExternalMetricSource": ExternalMetricSource,
    "io.k8s.api.core.v1.Affinity": Affinity,
    "io.k8s.api.core.v1.Toleration": Toleration,
    "io.k8s.api.core.v1.TopologySpreadConstraint": TopologySpreadConstraint,
    "io.k8s.api.networking.v1.NetworkPolicyPeer": NetworkPolicyPeer,
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_types_have_the_fields_of_the_published_schema(name: str) -> None:
    assert differences(DEFINITIONS[name], name, published()) == []


def test_the_types_of_a_pod_template_have_no_other_fields_than_the_published_schema() -> None:
    """A field under a wrong name would reject what users write. Fields that are missing are rejected on purpose."""
    found = differences(PodParts, "io.k8s.api.core.v1.PodSpec", published())
    assert [each for each in found if not each.endswith((" missing", " required"))] == []


def published() -> dict[str, Any]:
    """The definitions of the newest published schema."""
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    newest = max(folder.glob("v*-local"), key=lambda path: [int(part) for part in path.name[1:-6].split(".")])
    definitions: dict[str, Any] = json.loads((newest / "_definitions.json").read_text())["$defs"]
    return definitions


def differences(struct: type[msgspec.Struct], name: str, definitions: dict[str, Any]) -> list[str]:
    """Fields that only one of the two has, or that only one of them requires, including nested structs."""
    schema = definitions[name]
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    required = {each for each, field in fields.items() if field.required}
    found = [f"{name}.{each}" for each in fields.keys() - schema["properties"].keys()]
    found += [f"{name}.{each} missing" for each in schema["properties"].keys() - fields.keys()]
    found += [f"{name}.{each} required" for each in required ^ set(schema.get("required", []))]
    for each, field in fields.items():
        inner = struct_of(field.type)[0]
        property_schema = schema["properties"].get(each, {})
        reference = property_schema.get("items", property_schema).get("$ref", "")
        if inner and reference:
            found += differences(inner, reference.rpartition("/")[2], definitions)
    return found
