"""An autoscaler of a user that scales the child Deployment: the operator does not work against it, and reports it."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import a_pod
from tests.fakes import World
from triton_operator.api.status import Truth
from triton_operator.cluster.errors import UnavailableError
from triton_operator.cluster.observed import DeploymentState, Kind, OtherAutoscaler

THEIRS = OtherAutoscaler(name="digits-cpu")
KEDA = OtherAutoscaler(name="keda-hpa-queue", scaled_object="queue", may_stop=True)


def live(world: World) -> DeploymentState:
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    return state


def scale(world: World, replicas: int, manager: str = "kube-controller-manager") -> None:
    """Somebody sets the count through `/scale`, which takes it from the operator's Apply entry."""
    scaled = msgspec.structs.replace(live(world), replicas=replicas, scaled_by=manager, owns_replicas=False)
    world.change_child(Kind.DEPLOYMENT, state=scaled)


async def scaled_by(*others: OtherAutoscaler, replicas: int = 5, **spec: Any) -> World:
    """A deployment with two replicas that others have scaled."""
    defaults: dict[str, Any] = {"replicas": 2, "privacy": {"profile": "Open"}}
    world = World(**(defaults | spec))
    await world.reconcile()
    world.cluster.autoscalers = others
    scale(world, replicas)
    world.forget_writes()
    return world


def has_condition(world: World) -> bool:
    return "ScalingActive" in {condition.type for condition in world.status.conditions}


async def test_its_count_is_not_reverted() -> None:
    """Without an autoscaler, the same change is reverted."""
    world = await scaled_by(THEIRS)
    await world.reconcile()
    assert live(world).replicas == 5
    assert "replicas" not in world.manifest(Kind.DEPLOYMENT)["spec"]
    by_hand = await scaled_by()
    await by_hand.reconcile()
    assert live(by_hand).replicas == 2
    assert not has_condition(by_hand)


async def test_it_is_reported_with_the_remedy() -> None:
    world = await scaled_by(THEIRS)
    await world.reconcile()
    condition = world.condition("ScalingActive")
    assert (condition.status, condition.reason) == (Truth.FALSE, "OtherAutoscaler")
    assert condition.message == (
        "HorizontalPodAutoscaler digits-cpu scales Deployment digits, so spec.replicas has no effect, and the operator "
        "does not set the number of replicas; set its scaleTargetRef to apiVersion triton-operator.io/v1alpha1, kind "
        "ModelDeployment, name digits, or delete it"
    )


async def test_several_are_named_and_keda_by_its_own_object() -> None:
    world = await scaled_by(KEDA, THEIRS)
    await world.reconcile()
    found = world.condition("ScalingActive").message
    assert found.startswith("HorizontalPodAutoscaler digits-cpu, ScaledObject queue scale Deployment digits")
    assert found.endswith("or delete them")


async def test_at_rest_nothing_is_written_and_its_existence_is_checked() -> None:
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.forget_writes()
    reads = world.cluster.autoscaler_reads
    assert await world.reconcile() == 30
    assert world.cluster.writes == []
    assert world.cluster.autoscaler_reads == reads + 1


async def test_after_its_deletion_the_operator_sets_the_count_again() -> None:
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.cluster.autoscalers = ()
    await world.reconcile()
    assert live(world).replicas == 2
    assert not has_condition(world)


async def test_ready_counts_the_replicas_that_it_requests() -> None:
    world = await scaled_by(THEIRS, replicas=3)
    await world.reconcile()
    world.roll_out(*(a_pod(f"digits-{i}", revision=world.template_hash, ready=True) for i in range(3)))
    await world.reconcile()
    assert world.condition("Ready").message == "3 replicas have every model loaded"


async def test_a_deployment_that_nobody_scales_causes_no_read() -> None:
    world = World(replicas=2)
    await world.reconcile()
    world.edit(replicas=3)
    await world.reconcile()
    assert world.cluster.autoscaler_reads == 0


async def test_zero_and_suspend_stop_all_pods_anyway() -> None:
    """An autoscaler is inactive as long as its target has 0 replicas."""
    for stop in ({"replicas": 0}, {"suspend": True}):
        world = await scaled_by(THEIRS)
        await world.reconcile()
        world.edit(**stop)
        await world.reconcile()
        assert live(world).replicas == 0
        assert not has_condition(world)


async def test_after_suspend_it_starts_with_the_count_of_the_spec() -> None:
    """An autoscaler does not start a Deployment that has 0 replicas."""
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.edit(suspend=True)
    await world.reconcile()
    world.edit(suspend=False)
    await world.reconcile()
    assert live(world).replicas == 2


async def test_only_an_autoscaler_that_may_do_so_stops_all_pods() -> None:
    by_hand = await scaled_by(THEIRS, replicas=0)
    await by_hand.reconcile()
    assert live(by_hand).replicas == 2
    by_keda = await scaled_by(KEDA, replicas=0)
    await by_keda.reconcile()
    assert live(by_keda).replicas == 0
    assert by_keda.condition("Ready").reason == "ScaledToZero"
    assert "stopped all replicas" in by_keda.condition("Ready").message


async def test_while_autoscalers_cannot_be_read_those_of_before_count() -> None:
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.cluster.autoscalers = UnavailableError("refused")
    scale(world, 6)
    await world.reconcile()
    assert live(world).replicas == 6
    assert world.condition("ScalingActive").reason == "OtherAutoscaler"


async def test_a_restarted_operator_does_not_revert_it_either() -> None:
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.new_operator()
    await world.reconcile()
    assert live(world).replicas == 5


async def test_a_restarted_operator_that_cannot_read_autoscalers_leaves_the_count_until_it_can() -> None:
    world = await scaled_by(THEIRS, replicas=50)
    await world.reconcile()
    world.cluster.autoscalers = UnavailableError("busy")
    world.new_operator()
    assert await world.reconcile() == 30, "it tries again"
    assert live(world).replicas == 50
    assert "cannot read the HorizontalPodAutoscalers" in world.condition("ScalingActive").message
    world.cluster.autoscalers = ()
    await world.reconcile()
    assert live(world).replicas == 2, "there is none any more"


async def test_a_new_autoscaler_that_cannot_be_read_counts_as_well() -> None:
    world = await scaled_by()
    await world.reconcile()
    scale(world, 7)
    world.cluster.autoscalers = UnavailableError("busy")
    await world.reconcile()
    assert live(world).replicas == 7


async def test_autoscaling_of_the_spec_replaces_it() -> None:
    """Kubernetes itself reports two autoscalers of the same pods, as AmbiguousSelector."""
    world = await scaled_by(THEIRS)
    await world.reconcile()
    world.edit(autoscaling={"maxReplicas": 8})
    await world.reconcile()
    assert world.names(Kind.AUTOSCALER) == ["digits"]
    assert live(world).replicas == 5
