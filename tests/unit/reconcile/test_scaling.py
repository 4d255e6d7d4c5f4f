"""ScalingActive reports the numbers that the autoscaler sees, without a write for each of their changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import World
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import AutoscalerState, Kind, ObservedCondition, ObservedMetric

ACTIVE = ObservedCondition(type="ScalingActive", status="True", reason="ValidMetricFound")


def state(current: int, desired: int, cpu: int, *conditions: ObservedCondition) -> AutoscalerState:
    """What the autoscaler reports at this load."""
    metric = ObservedMetric(name="CPU of container triton", current=f"{cpu}%", target="80%")
    return AutoscalerState(
        conditions=conditions or (ACTIVE,), current_replicas=current, desired_replicas=desired, metrics=(metric,)
    )


async def scaled(reported: AutoscalerState | None = None, **autoscaling: Any) -> World:
    """A deployment whose autoscaler has reported."""
    world = World(privacy={"profile": "Open"}, autoscaling={"maxReplicas": 4, **autoscaling})
    await world.reconcile()
    if reported:
        await report(world, reported)
    return world


async def report(world: World, reported: AutoscalerState) -> None:
    """The autoscaler writes its status, and the watch reports it."""
    world.change_child(Kind.AUTOSCALER, state=reported)
    await world.reconcile()


def message(world: World) -> str:
    return world.condition("ScalingActive").message


async def test_it_reports_replicas_and_metrics() -> None:
    world = await scaled(state(1, 3, 240))
    assert world.condition("ScalingActive").status is Truth.TRUE
    assert message(world) == "1 replica, 3 desired; at the last change, CPU of container triton 240% (target 80%)"


async def test_it_reports_the_maximum() -> None:
    world = await scaled(state(3, 4, 500))
    assert message(world).startswith("3 replicas, 4 desired, which is the maximum; ")


async def test_changing_values_cause_no_write() -> None:
    """They change every 15 seconds; the message has those at the last decision, also after a restart."""
    world = await scaled(state(1, 3, 240))
    await report(world, state(3, 3, 81))
    before = message(world)
    world.forget_writes()
    for cpu in (80, 83, 78):
        await report(world, state(3, 3, cpu))
    world.new_operator()
    await world.reconcile()
    assert "status digits" not in world.cluster.writes
    assert before.endswith("81% (target 80%)")


async def test_a_decision_is_reported_with_the_values_that_led_to_it() -> None:
    world = await scaled(state(3, 3, 81))
    await report(world, state(3, 3, 60))
    world.forget_writes()
    await report(world, state(3, 2, 40))
    assert world.cluster.writes == ["status digits"]
    assert message(world) == "3 replicas, 2 desired; at the last change, CPU of container triton 40% (target 80%)"


async def test_a_changed_spec_is_reported_with_present_values() -> None:
    """Its target may be another one."""
    world = await scaled(state(3, 3, 81))
    await report(world, state(3, 3, 60))
    assert "81%" in message(world)
    world.edit(autoscaling={"maxReplicas": 4, "minReplicas": 2})
    await world.reconcile()
    assert "60%" in message(world)


@pytest.mark.parametrize(
    ("reason", "text", "advice"),
    [
        ("FailedGetContainerResourceMetric", "no metrics returned", "check that the cluster serves metrics.k8s.io"),
        ("FailedGetPodsMetric", "the server could not find it", "custom.metrics.k8s.io, such as prometheus-adapter"),
        ("AmbiguousSelector", "controlled by multiple HPAs: [shop/a shop/digits]", "delete the other autoscalers"),
        ("InvalidSelector", "no selector", ""),
    ],
)
async def test_a_failure_has_the_autoscaler_s_reason_and_message(reason: str, text: str, advice: str) -> None:
    failed = ObservedCondition(type="ScalingActive", status="False", reason=reason, message=text)
    world = await scaled(state(1, 0, 0, failed))
    condition = world.condition("ScalingActive")
    assert (condition.status, condition.reason) == (Truth.FALSE, reason)
    assert condition.message.startswith(text)
    assert advice in condition.message


async def test_an_autoscaler_that_cannot_write_the_count_is_not_active() -> None:
    unable = ObservedCondition(type="AbleToScale", status="False", reason="FailedUpdateScale", message="forbidden")
    world = await scaled(state(1, 3, 240, ACTIVE, unable))
    condition = world.condition("ScalingActive")
    assert (condition.status, condition.reason, condition.message) == (Truth.FALSE, "FailedUpdateScale", "forbidden")


async def test_it_is_unknown_until_the_autoscaler_has_reported_and_absent_without_one() -> None:
    world = await scaled()
    assert world.condition("ScalingActive").status is Truth.UNKNOWN
    world.edit(autoscaling=None)
    await world.reconcile()
    assert "ScalingActive" not in {condition.type for condition in world.status.conditions}


async def test_a_suspended_deployment_is_not_scaled() -> None:
    world = await scaled(state(2, 2, 60))
    world.edit(suspend=True)
    await world.reconcile()
    assert world.condition("ScalingActive").reason == "Suspended"
