"""The HorizontalPodAutoscaler: presets, metrics that are passed through, and behavior."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render

PENDING: dict[str, Any] = {
    "metric": {"name": "pending", "selector": {"matchLabels": {"model": "digits"}}},
    "target": {"type": "AverageValue", "averageValue": "1500m"},
}
PASSED_THROUGH: list[dict[str, Any]] = [
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "2Gi"}}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "proxy",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
    {"type": "Pods", "pods": PENDING},
    {"type": "Object", "object": PENDING | {"describedObject": {"apiVersion": "v1", "kind": "Service", "name": "a"}}},
    {"type": "External", "external": PENDING},
]


def autoscaler(**autoscaling: Any) -> dict[str, Any]:
    """The spec of the autoscaler, which Kubernetes accepts."""
    children = render(a_deployment(autoscaling={"maxReplicas": 5, **autoscaling}), SETTINGS)
    (manifest,) = (child for child in children if child["kind"] == "HorizontalPodAutoscaler")
    kubernetes_validate.validate(manifest, "1.35", strict=True)
    spec: dict[str, Any] = manifest["spec"]
    return spec


def of_triton(resource: str, percent: int) -> dict[str, Any]:
    """The metric of a preset."""
    target = {"type": "Utilization", "averageUtilization": percent}
    source = {"name": resource, "container": "triton", "target": target}
    return {"type": "ContainerResource", "containerResource": source}


def test_the_default_is_the_cpu_of_the_container_that_serves() -> None:
    """A sidecar without a request would make the utilization of the pod unknown."""
    spec = autoscaler()
    assert spec["metrics"] == [of_triton("cpu", 80)]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 5)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"}
    assert "behavior" not in spec


def test_presets_are_metrics_of_that_container() -> None:
    presets = [{"type": "CPUUtilization", "averageUtilization": 70}, {"type": "MemoryUtilization"}]
    assert autoscaler(metrics=presets)["metrics"] == [of_triton("cpu", 70), of_triton("memory", 80)]


def test_other_metrics_and_the_behavior_are_passed_through() -> None:
    behavior = {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]},
        "scaleDown": {"selectPolicy": "Disabled", "tolerance": "0.05"},
    }
    spec = autoscaler(metrics=PASSED_THROUGH, behavior=behavior)
    assert spec["metrics"] == PASSED_THROUGH
    assert spec["behavior"] == behavior


def test_an_empty_behavior_is_omitted() -> None:
    """Kubernetes would fill it with its defaults, so that it would differ from the operator's."""
    assert "behavior" not in autoscaler(behavior={})
    assert autoscaler(behavior={"scaleUp": {}, "scaleDown": {"selectPolicy": "Min"}})["behavior"] == {
        "scaleDown": {"selectPolicy": "Min"}
    }


@pytest.mark.parametrize(
    ("autoscaling", "shown"),
    [
        (None, {}),
        ({"maxReplicas": 2}, {"spec.autoscaling.metrics": "CPUUtilization at 80%"}),
        (
            {"maxReplicas": 2, "metrics": [{"type": "MemoryUtilization"}, PASSED_THROUGH[0]]},
            {"spec.autoscaling.metrics[0].averageUtilization": "80"},
        ),
        ({"maxReplicas": 2, "metrics": [{"type": "CPUUtilization", "averageUtilization": 9}]}, {}),
    ],
)
def test_defaults_of_autoscaling_are_shown(autoscaling: dict[str, Any] | None, shown: dict[str, str]) -> None:
    spec: dict[str, Any] = {"autoscaling": autoscaling} if autoscaling else {}
    choices = applied_defaults(a_deployment(**spec), SETTINGS)
    assert {each.field: each.value for each in choices if "autoscaling" in each.field} == shown
