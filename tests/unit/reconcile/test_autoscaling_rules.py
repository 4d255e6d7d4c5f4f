"""Mistakes in `spec.autoscaling` are reported all at once, by path."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_deployment
from tests.unit.resources.test_autoscaler import PASSED_THROUGH
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate

M = "spec.autoscaling.metrics"


def complaint(*metrics: dict[str, Any], **bounds: Any) -> str:
    """The message about these metrics; "" if they are valid."""
    try:
        validate(a_deployment(autoscaling={"maxReplicas": 3, "metrics": list(metrics), **bounds}).spec)
    except InvalidSpecError as error:
        return str(error)
    return ""


def pods(**target: Any) -> dict[str, Any]:
    """A metric of the pods with this target."""
    return {"type": "Pods", "pods": {"metric": {"name": "pending"}, "target": target}}


def test_valid_metrics_pass() -> None:
    presets = ({"type": "CPUUtilization", "averageUtilization": 70}, {"type": "MemoryUtilization"})
    assert complaint(*presets, *PASSED_THROUGH, minReplicas=3) == ""


def test_a_metric_has_exactly_the_member_of_its_type() -> None:
    pending = {"metric": {"name": "pending"}, "target": {"type": "Value", "value": 3}}
    found = complaint(
        {"type": "External"},
        {"type": "External", "external": pending, "pods": pending},
        {"type": "CPUUtilization", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
        {**pods(type="AverageValue", averageValue=1), "averageUtilization": 5},
    )
    assert found.split("; ") == [
        f"{M}[0].external: is required with the type External",
        f"{M}[1].pods: is not allowed with the type External",
        f"{M}[2].resource: is not allowed with the type CPUUtilization",
        f"{M}[3].averageUtilization: is not allowed with the type Pods",
        "set it in pods.target",
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"type": "Utilization", "averageUtilization": 5}, ".type: Utilization is not allowed with the type Pods"),
        ({"type": "AverageValue"}, ".averageValue: is required with the type AverageValue"),
        ({"type": "AverageValue", "averageValue": 1, "value": 1}, ".value: is not allowed with the type AverageValue"),
        ({"type": "AverageValue", "averageValue": "0"}, ".averageValue: '0' is not a positive quantity"),
        ({"type": "AverageValue", "averageValue": "4 per second"}, ".averageValue: '4 per second' is not a positive"),
    ],
)
def test_a_target_has_the_value_of_its_type(target: dict[str, Any], expected: str) -> None:
    assert complaint(pods(**target)).startswith(f"{M}[0].pods.target{expected}")


def test_a_member_that_cannot_be_read_is_named() -> None:
    """The definition of a later release may accept what this one does not know."""
    found = complaint({"type": "Pods", "pods": {"metric": {}}})
    assert found.startswith(f"{M}[0].pods: ")
    assert "name" in found


def test_a_preset_occurs_once_and_the_bounds_are_in_order() -> None:
    found = complaint({"type": "CPUUtilization"}, {"type": "CPUUtilization"}, minReplicas=4)
    assert found.split("; ") == [
        "spec.autoscaling.maxReplicas: 3 is less than minReplicas 4",
        f"{M}: contains the type CPUUtilization 2 times",
        "once is allowed",
    ]


CRON = {"type": "Trigger", "trigger": {"type": "cron", "metadata": {"timezone": "UTC"}}}
OWN = "http://digits-headless.shop.svc:8002/metrics"


def of_keda(*metrics: dict[str, Any], spec: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    """The messages about these metrics with the provider KEDA."""
    autoscaling = {"maxReplicas": 3, "provider": "KEDA", "metrics": list(metrics), **fields}
    try:
        validate(a_deployment(autoscaling=autoscaling, **(spec or {})).spec, "digits", "shop")
    except InvalidSpecError as error:
        return str(error).split("; ")
    return []


def test_what_keda_can_evaluate_passes() -> None:
    every = [{"type": kind} for kind in ("PendingRequests", "QueueTimeRatio", "GPUUtilization", "CPUUtilization")]
    rate = {"type": "RequestsPerSecond", "averageValue": 5}
    assert of_keda({"type": "PendingRequests"}, CRON, minReplicas=0) == []
    assert (
        of_keda(
            *every, rate, keda={"prometheusServer": "https://prometheus.example.com/path"}, spec={"gpu": {"count": 2}}
        )
        == []
    )
    assert of_keda({"type": "GPUUtilization"}, spec={"gpu": {"count": 1}}) == []


def test_what_keda_cannot_read_is_refused_all_at_once() -> None:
    models = [{"name": "digits", "versionPolicy": {"all": {}}}]
    found = of_keda(
        {"type": "QueueTimeRatio"},
        {"type": "PendingRequests"},
        {"type": "GPUUtilization"},
        pods(type="AverageValue", averageValue=1),
        spec={"models": models},
    )
    assert sorted(message.partition(":")[0] for message in found if message.startswith("spec")) == [
        f"{M}[{index}].type" for index in range(4)
    ]
    assert any("KEDA cannot compute a rate" in message for message in found)
    assert any("the versions of digits" in message for message in found)
    assert f"{M}[2].type: GPUUtilization requires spec.gpu" in found
    (several, *_) = of_keda({"type": "GPUUtilization"}, spec={"gpu": {"count": 2}})
    assert "KEDA reads one whole GPU" in several
    (gpu, *_) = of_keda({"type": "PendingRequests"}, spec={"gpu": {"count": 1}})
    assert "several series for each model on a GPU" in gpu


@pytest.mark.parametrize(
    "metric",
    [
        {"type": "PendingRequests"},
        {"type": "CPUUtilization"},
        {"type": "Trigger", "trigger": {"type": "memory", "metadata": {"value": "80"}}},
        {"type": "Trigger", "trigger": {"type": "metrics-api", "metadata": {"url": OWN}}},
    ],
)
def test_a_deployment_that_would_never_start_is_refused(metric: dict[str, Any]) -> None:
    (found, *_) = of_keda(metric, minReplicas=0)
    assert found.startswith("spec.autoscaling.minReplicas: 0 needs a metric of the type Trigger")


@pytest.mark.parametrize(
    "url", ["http://queue.shop.svc/length", "http://digits.other.svc/length", "http://[not an address"]
)
def test_other_addresses_can_start_it(url: str) -> None:
    assert (
        of_keda({"type": "Trigger", "trigger": {"type": "metrics-api", "metadata": {"url": url}}}, minReplicas=0) == []
    )


def test_variables_of_the_pods_and_credentials_of_the_cluster_are_refused() -> None:
    trigger = {
        "type": "metrics-api",
        "metadata": {"url": "http://attacker.example.com", "tokenFromEnv": "KEY"},
        "authenticationRef": {"name": "shared", "kind": "ClusterTriggerAuthentication"},
    }
    metric = {"type": "Trigger", "trigger": trigger}
    private = of_keda(metric, spec={"privacy": {"profile": "Private"}})
    assert any(f"{M}[0].trigger.metadata.tokenFromEnv" in message for message in private)
    assert any(f"{M}[0].trigger.authenticationRef.kind" in message for message in private)
    assert any(message.startswith(f"{M}[0].trigger.authenticationRef: KEDA would send") for message in private)
    opened = of_keda(metric, spec={"privacy": {"profile": "Open"}})
    assert not any("KEDA would send" in message for message in opened), "the profile Open does not restrict connections"


def test_settings_of_keda_need_keda() -> None:
    found = complaint(CRON, minReplicas=0, keda={"cooldownSeconds": 5})
    assert "minReplicas: 0 requires spec.autoscaling.provider KEDA" in found
    assert "spec.autoscaling.keda: requires" in found
    assert f"{M}[0].type: Trigger requires" in found


def test_targets_belong_to_their_presets() -> None:
    found = complaint(
        {"type": "PendingRequests", "averageUtilization": 5},
        {"type": "QueueTimeRatio", "averageValue": 5},
        {"type": "RequestsPerSecond"},
        {"type": "GPUUtilization", "averageUtilization": 5},
    )
    assert f"{M}[0].averageUtilization: is not allowed with the type PendingRequests" in found
    assert f"{M}[1].averageValue: is not allowed with the type QueueTimeRatio" in found
    assert f"{M}[2].averageValue: is required with the type RequestsPerSecond" in found
    assert f"{M}[3].type: GPUUtilization requires spec.gpu" in found
    assert "'no' is not a positive quantity" in complaint({"type": "PendingRequests", "averageValue": "no"})
