"""The ScaledObject of KEDA: presets as triggers, triggers that are passed through, and bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render

CRON: dict[str, Any] = {
    "type": "Trigger",
    "trigger": {
        "type": "cron",
        "name": "office",
        "metadata": {"timezone": "Europe/Rome", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "2"},
        "authenticationRef": {"name": "queue"},
    },
}
PENDING: dict[str, Any] = {"type": "PendingRequests", "averageValue": 4}


def scaled(**spec: Any) -> ModelDeployment:
    """A deployment that KEDA scales."""
    given = spec.pop("autoscaling", {})
    return a_deployment(autoscaling={"maxReplicas": 5, "provider": "KEDA", **given}, **spec)


def scaled_object(**spec: Any) -> dict[str, Any]:
    """The ScaledObject; there is no HorizontalPodAutoscaler next to it."""
    children = render(scaled(**spec), SETTINGS)
    (manifest,) = (child for child in children if child["kind"] in {"ScaledObject", "HorizontalPodAutoscaler"})
    assert manifest["apiVersion"] == "keda.sh/v1alpha1"
    return manifest


def triggers(*metrics: dict[str, Any], **spec: Any) -> list[dict[str, Any]]:
    keda = {"keda": {"prometheusServer": "http://prometheus:9090"}} if spec.pop("prometheus", False) else {}
    found: list[dict[str, Any]] = scaled_object(autoscaling={"metrics": list(metrics), **keda}, **spec)["spec"][
        "triggers"
    ]
    return found


def test_it_scales_the_deployment_between_the_bounds() -> None:
    manifest = scaled_object(autoscaling={"minReplicas": 0, "metrics": [CRON], "keda": {"cooldownSeconds": 60}})
    spec = manifest["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 5)
    assert (spec["pollingInterval"], spec["cooldownPeriod"], spec["initialCooldownPeriod"]) == (15, 60, 60)
    assert manifest["metadata"]["labels"]["scaledobject.keda.sh/name"] == "digits"
    assert manifest["metadata"]["ownerReferences"][0]["kind"] == "ModelDeployment"
    assert "advanced" not in spec


def test_pending_requests_are_read_from_every_pod_for_each_model() -> None:
    """KEDA reads the first series with the given labels, so each model and version has a trigger of its own."""
    models = [{"name": "digits"}, {"name": "tags", "versionPolicy": {"specific": {"versions": [1, 3]}}}]
    found = triggers(PENDING, models=models)
    assert [each["metadata"]["valueLocation"] for each in found] == [
        'nv_inference_pending_request_count{model="digits"}',
        'nv_inference_pending_request_count{model="tags",version="1"}',
        'nv_inference_pending_request_count{model="tags",version="3"}',
    ]
    assert found[0] == {
        "type": "metrics-api",
        "metricType": "AverageValue",
        "metadata": {
            "url": "http://digits-headless.shop.svc:8002/metrics",
            "format": "prometheus",
            "valueLocation": 'nv_inference_pending_request_count{model="digits"}',
            "targetValue": "4",
            "aggregateFromKubeServiceEndpoints": "true",
            "aggregationType": "sum",
        },
    }


def test_the_default_is_the_cpu_of_the_container_that_serves() -> None:
    metadata = {"value": "80", "containerName": "triton"}
    assert triggers() == [{"type": "cpu", "metricType": "Utilization", "metadata": metadata}]


def test_the_gpu_is_read_from_the_pods() -> None:
    (found,) = triggers({"type": "GPUUtilization", "averageUtilization": 65}, gpu={"count": 1})
    assert found["metadata"]["valueLocation"] == "nv_gpu_utilization"
    assert found["metadata"]["targetValue"] == "0.65"


@pytest.mark.parametrize(
    ("metric", "query", "threshold", "kind"),
    [
        (
            {"type": "PendingRequests"},
            "max(sum by (model) (nv_inference_pending_request_count{}))",
            "10",
            "AverageValue",
        ),
        (
            {"type": "RequestsPerSecond", "averageValue": "1500m"},
            "sum(rate(nv_inference_request_success{}[2m]))",
            "1.5",
            "AverageValue",
        ),
        (
            {"type": "QueueTimeRatio"},
            (
                "max(sum by (model) (rate(nv_inference_queue_duration_us{}[2m])) / "
                "(sum by (model) (rate(nv_inference_request_duration_us{}[2m])) > 0))"
            ),
            "0.2",
            "Value",
        ),
        ({"type": "GPUUtilization"}, "avg(nv_gpu_utilization{})", "0.8", "Value"),
    ],
)
def test_prometheus_answers_what_kedas_own_reader_cannot(
    metric: dict[str, Any], query: str, threshold: str, kind: str
) -> None:
    (found,) = triggers(metric, prometheus=True, gpu={"count": 2})
    pods = '{namespace="shop",pod=~"digits-[a-z0-9]+-[a-z0-9]+"}'
    assert found["metadata"]["query"].replace(pods, "{}") == query
    assert (found["metadata"]["threshold"], found["metricType"]) == (threshold, kind)
    assert found["metadata"]["serverAddress"] == "http://prometheus:9090"


def test_triggers_and_the_behavior_are_passed_through() -> None:
    behavior = {"scaleUp": {}, "scaleDown": {"selectPolicy": "Disabled"}}
    spec = scaled_object(autoscaling={"metrics": [CRON], "behavior": behavior})["spec"]
    assert spec["triggers"] == [CRON["trigger"]]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"] == {
        "behavior": {"scaleDown": {"selectPolicy": "Disabled"}}
    }


def test_keda_writes_the_manifest_back_unchanged() -> None:
    """It encodes an absent member of `advanced` as an empty one, and omits a value that is false."""
    trigger = {**CRON["trigger"], "useCachedMetrics": False}
    behavior = {"scaleDown": {"selectPolicy": "Disabled"}}
    spec = scaled_object(autoscaling={"metrics": [{"type": "Trigger", "trigger": trigger}], "behavior": behavior})[
        "spec"
    ]
    assert spec["advanced"]["scalingModifiers"] == {}
    assert spec["triggers"] == [CRON["trigger"]]


def test_a_suspended_deployment_has_none() -> None:
    kinds = {child["kind"] for child in render(scaled(suspend=True), SETTINGS)}
    assert not kinds & {"ScaledObject", "HorizontalPodAutoscaler"}


def test_its_defaults_are_shown() -> None:
    choices = applied_defaults(scaled(autoscaling={"metrics": [{"type": "PendingRequests"}, CRON]}), SETTINGS)
    assert {each.field: each.value for each in choices if "autoscaling" in each.field} == {
        "spec.autoscaling.metrics[0].averageValue": "10",
        "spec.autoscaling.keda.pollingIntervalSeconds": "15",
        "spec.autoscaling.keda.cooldownSeconds": "300",
    }
