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
