"""KEDA as the provider: when the operator creates the ScaledObject, and what ScalingActive reports."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from tests.fakes import World
from tests.unit.resources.test_scaled_object import CRON, PENDING
from triton_operator.api.status import Condition, Truth
from triton_operator.cluster.observed import (
    AutoscalerState,
    Child,
    DeploymentState,
    Kind,
    ObservedCondition,
    ObservedMetric,
    ScaledObjectState,
)

READY = ObservedCondition(type="Ready", status="True", reason="ScaledObjectReady")
OPEN = {"profile": "Open"}


def keda(**autoscaling: Any) -> dict[str, Any]:
    return {"maxReplicas": 4, "provider": "KEDA", "metrics": [PENDING], **autoscaling}


async def scaled(*conditions: ObservedCondition, privacy: dict[str, Any] | None = None, **autoscaling: Any) -> World:
    """A deployment whose ScaledObject has these conditions."""
    world = World(privacy=privacy or OPEN, autoscaling=keda(**autoscaling))
    await world.reconcile()
    if conditions:
        world.change_child(Kind.SCALED_OBJECT, state=ScaledObjectState(conditions=conditions))
        await world.reconcile()
    return world


def autoscaler_of_keda(world: World, state: AutoscalerState) -> Child:
    """KEDA creates its HorizontalPodAutoscaler, or writes to it, and the watch reports that."""
    child = Child(
        kind=Kind.AUTOSCALER,
        namespace="shop",
        name="keda-hpa-digits",
        uid="uid-of-keda-hpa",
        resource_version=world.cluster.next_version(),
        deployment="digits",
        state=state,
    )
    world.cluster.objects[child.kind, child.namespace, child.name] = child
    world.cache.children.put(child)
    return child


def state(current: int, desired: int, *conditions: ObservedCondition) -> AutoscalerState:
    name = 's0-metric-api-nv_inference_pending_request_count{model="digits"}'
    active = ObservedCondition(type="ScalingActive", status="True", reason="ValidMetricFound")
    return AutoscalerState(
        conditions=conditions or (active,),
        current_replicas=current,
        desired_replicas=desired,
        metrics=(ObservedMetric(name=name, current="9", target="4"),),
        scaled_object_uid="uid-of-scaled-object",
    )


def condition(world: World) -> Condition:
    return world.condition("ScalingActive")


async def test_the_numbers_of_keda_s_autoscaler_are_reported_with_the_names_of_presets() -> None:
    world = await scaled(READY)
    assert condition(world).status is Truth.UNKNOWN
    autoscaler_of_keda(world, state(1, 3))
    await world.reconcile()
    assert condition(world).status is Truth.TRUE
    assert condition(world).message == (
        "1 replica, 3 desired; at the last change, PendingRequests of digits 9 (target 4)"
    )
    assert world.names(Kind.AUTOSCALER) == ["keda-hpa-digits"], "KEDA's autoscaler is left alone"


async def test_without_keda_nothing_is_written_and_the_replicas_stay() -> None:
    world = World(privacy=OPEN, autoscaling=keda())
    world.cache.unavailable[Kind.SCALED_OBJECT] = HTTPStatus.NOT_FOUND
    assert await world.reconcile() is None, "no retry until a watch reports something"
    found = condition(world)
    assert (found.status, found.reason) == (Truth.FALSE, "KEDANotInstalled")
    assert "install KEDA" in found.message
    assert world.condition("Accepted").status is Truth.TRUE
    assert world.names(Kind.SCALED_OBJECT) == world.names(Kind.AUTOSCALER) == []
    del world.cache.unavailable[Kind.SCALED_OBJECT]
    await world.reconcile()
    assert world.names(Kind.SCALED_OBJECT) == ["digits"], "it is created when KEDA is installed"


async def test_a_missing_permission_is_reported() -> None:
    world = World(privacy=OPEN, autoscaling=keda())
    world.cache.unavailable[Kind.SCALED_OBJECT] = HTTPStatus.FORBIDDEN
    await world.reconcile()
    assert condition(world).reason == "Forbidden"
    assert "rbac.keda" in condition(world).message


async def test_switching_the_provider_never_leaves_two_autoscalers() -> None:
    world = World(privacy=OPEN, autoscaling={"maxReplicas": 4})
    await world.reconcile()
    assert world.names(Kind.AUTOSCALER) == ["digits"]
    world.edit(autoscaling=keda())
    await world.reconcile()
    assert world.names(Kind.AUTOSCALER) == world.names(Kind.SCALED_OBJECT) == []
    await world.reconcile()
    assert world.names(Kind.SCALED_OBJECT) == ["digits"]
    autoscaler_of_keda(world, state(1, 1))
    world.edit(autoscaling={"maxReplicas": 4})
    await world.reconcile()
    assert world.names(Kind.SCALED_OBJECT) == []
    await world.reconcile()
    assert world.names(Kind.AUTOSCALER) == ["keda-hpa-digits"], "it waits until KEDA's autoscaler is deleted"
    assert "HorizontalPodAutoscaler keda-hpa-digits has not finished" in condition(world).message
    del world.cluster.objects[Kind.AUTOSCALER, "shop", "keda-hpa-digits"]
    await world.reconcile()
    await world.reconcile()
    assert world.names(Kind.AUTOSCALER) == ["digits"]


async def test_a_closed_metrics_port_is_reported_and_stays_closed() -> None:
    world = await scaled(READY, privacy={"profile": "Private"})
    assert condition(world).reason == "MetricsBlocked"
    assert "spec.privacy.network.metricsFrom" in condition(world).message
    policy = world.manifest(Kind.NETWORK_POLICY)
    assert not any(port["port"] == 8002 for rule in policy["spec"]["ingress"] for port in rule["ports"])
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
    world.edit(privacy={"profile": "Private", "network": {"metricsFrom": [namespace]}})
    await world.reconcile()
    assert condition(world).reason != "MetricsBlocked"


async def test_what_keda_does_not_read_from_the_pods_is_not_blocked() -> None:
    server = {"prometheusServer": "http://prometheus:9090"}
    world = await scaled(READY, privacy={"profile": "Private"}, keda=server)
    assert condition(world).reason != "MetricsBlocked"


@pytest.mark.parametrize(
    ("reported", "reason", "text"),
    [
        (
            ObservedCondition(type="Ready", status="False", reason="TriggerError", message="triggers fail"),
            "TriggerError",
            "KEDA reports: triggers fail; check that network policies allow KEDA to connect to port 8002",
        ),
        (ObservedCondition(type="Paused", status="True"), "Paused", "remove its annotations"),
        (ObservedCondition(type="Ready", status="Unknown"), "ScalingNotReady", "check that the operator of KEDA runs"),
    ],
)
async def test_what_keda_reports_is_passed_on(reported: ObservedCondition, reason: str, text: str) -> None:
    world = await scaled(reported)
    assert condition(world).reason == reason
    assert text in condition(world).message


async def test_a_failed_read_names_what_to_check() -> None:
    failed = ObservedCondition(
        type="ScalingActive", status="False", reason="FailedGetExternalMetric", message="no endpoints"
    )
    world = await scaled(READY)
    autoscaler_of_keda(world, state(1, 0, failed))
    await world.reconcile()
    assert condition(world).reason == "FailedGetExternalMetric"
    assert "port 8002" in condition(world).message


async def test_no_replica_is_a_decision_that_the_operator_does_not_revert() -> None:
    """Then KEDA cannot read the pods, which is not an error."""
    unreadable = ObservedCondition(type="Ready", status="False", reason="TriggerError", message="no endpoints")
    world = await scaled(unreadable, minReplicas=0, metrics=[PENDING, CRON])
    deployment = world.child(Kind.DEPLOYMENT).state
    assert isinstance(deployment, DeploymentState)
    world.forget_writes()
    scaled_by = {"replicas": 0, "scaled_by": "keda", "current_replicas": 0, "observed_generation": 1}
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(deployment, **scaled_by))
    await world.reconcile()
    assert condition(world).status is Truth.TRUE
    assert condition(world).message == "0 replicas; KEDA starts one when one of these triggers is active: office"
    assert (world.condition("Ready").status, world.condition("Ready").reason) == (Truth.TRUE, "ScaledToZero")
    assert not [write for write in world.cluster.writes if "Deployment" in write]
