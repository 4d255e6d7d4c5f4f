"""What is cached of a HorizontalPodAutoscaler, and which of them scale a Deployment."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.stored_objects import OWNER, a_stored, encode
from triton_operator.cluster.autoscaler_projection import describe_metrics, read_other
from triton_operator.cluster.child_cache import ChildCache
from triton_operator.cluster.observed import AutoscalerState, Child, Kind, ObservedCondition, OtherAutoscaler
from triton_operator.cluster.projection import project_child

Object = dict[str, Any]


def metric(kind: str, **source: Any) -> Object:
    """One metric of a spec or a status."""
    return {"type": kind, kind[0].lower() + kind[1:]: source}


def a_target(kind: str, **value: Any) -> Object:
    return {"target": {"type": kind, **value}}


PENDING = {"metric": {"name": "pending"}}
SPEC = [
    metric("ContainerResource", name="cpu", container="triton", **a_target("Utilization", averageUtilization=80)),
    metric("Resource", name="memory", **a_target("AverageValue", averageValue="2Gi")),
    metric("Pods", **PENDING, **a_target("AverageValue", averageValue="4")),
    metric("Object", **PENDING, describedObject={"kind": "Service", "name": "a"}, **a_target("Value", value="9")),
    metric("External", metric={"name": "queue"}, **a_target("Value", value="30")),
]
CURRENT = [
    metric(
        "ContainerResource",
        name="cpu",
        container="triton",
        current={"averageUtilization": 240, "averageValue": "600m"},
    ),
    metric("Resource", name="memory", current={"averageValue": "1Gi"}),
    {"type": ""},
    metric("Object", **PENDING, describedObject={"kind": "Service", "name": "a"}, current={"value": "12"}),
]
ACTIVE = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "from cpu"}
ABLE = {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "stable"}
LIMITED = {"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas", "message": "too few"}


def project(*conditions: Object, version: int = 1, **status: Any) -> Child:
    """An autoscaler with this status."""
    content = {"spec": {"metrics": SPEC}, "status": {"conditions": [*conditions], **status}}
    metadata = {"resourceVersion": str(version)}
    return project_child(Kind.AUTOSCALER, encode(a_stored("HorizontalPodAutoscaler", metadata=metadata, **content)))


def state_of(child: Child) -> AutoscalerState:
    assert isinstance(child.state, AutoscalerState)
    return child.state


def test_each_metric_has_its_current_value_and_its_target() -> None:
    """The controller leaves a metric without a type if it could not read it."""
    state = state_of(project(ACTIVE, currentReplicas=1, desiredReplicas=3, currentMetrics=CURRENT))
    assert (state.current_replicas, state.desired_replicas) == (1, 3)
    assert describe_metrics(state.metrics).split(", ") == [
        "CPU of container triton 240% (target 80%)",
        "memory 1Gi (target 2Gi)",
        "pending per replica unknown (target 4)",
        "pending of Service a 12 (target 9)",
        "queue unknown (target 30)",
    ]


def test_before_the_first_evaluation_nothing_is_known() -> None:
    """The API server writes null for a missing list of metrics."""
    state = state_of(project(currentReplicas=0, desiredReplicas=0, currentMetrics=None))
    assert {each.current for each in state.metrics} == {""}
    assert state.conditions == ()


def test_conditions_that_change_with_the_load_are_not_kept() -> None:
    """Otherwise the status would be written every 15 seconds."""
    active = ObservedCondition(type="ScalingActive", status="True", reason="ValidMetricFound")
    assert state_of(project(ABLE, ACTIVE, LIMITED)).conditions == (active,)
    unable = {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": "no such object"}
    broken = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}
    assert [each.message for each in state_of(project(unable, broken)).conditions] == ["no such object", "no metrics"]


def test_a_measurement_alone_is_no_reason_for_a_pass() -> None:
    """A change of the desired replicas is one."""
    cache = ChildCache()
    counts = {"currentReplicas": 1, "desiredReplicas": 1}
    assert cache.put(project(ACTIVE, version=1, currentMetrics=CURRENT, **counts))
    later = [metric("ContainerResource", name="cpu", container="triton", current={"averageUtilization": 79})]
    assert cache.put(project(ACTIVE, version=2, currentMetrics=later, **counts)) is None
    (known,) = cache.get(("shop", "digits")).values()
    assert state_of(known).metrics[0].current == "79%"
    assert cache.put(project(ACTIVE, version=3, currentMetrics=later, currentReplicas=1, desiredReplicas=2))


KEDA = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "digits-queue", "uid": "u"}


@pytest.mark.parametrize(
    ("metadata", "spec", "found"),
    [
        ({}, {}, OtherAutoscaler(name="theirs")),
        ({}, {"minReplicas": 0}, OtherAutoscaler(name="theirs", may_stop=True)),
        (
            {"ownerReferences": [KEDA]},
            {},
            OtherAutoscaler(name="theirs", scaled_object="digits-queue", may_stop=True),
        ),
        ({"ownerReferences": [OWNER]}, {}, None),
        ({"ownerReferences": [OWNER | {"uid": "another"}]}, {}, OtherAutoscaler(name="theirs")),
        ({"deletionTimestamp": "2026-01-02T03:04:05Z"}, {}, None),
        ({}, {"scaleTargetRef": {"kind": "Deployment", "name": "other"}}, None),
        ({}, {"scaleTargetRef": {"kind": "ModelDeployment", "name": "digits"}}, None),
    ],
)
def test_an_autoscaler_of_others_scales_the_deployment(
    metadata: Object, spec: Object, found: OtherAutoscaler | None
) -> None:
    """One that is being deleted scales nothing, and neither does that of the deployment itself."""
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"}}
    defaults = {"name": "theirs", "ownerReferences": [], "labels": {}}
    stored = a_stored("HorizontalPodAutoscaler", metadata=defaults | metadata, spec=target | spec)
    assert read_other(msgspec.Raw(encode(stored)), "digits", "uid-of-digits") == found
