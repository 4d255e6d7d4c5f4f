"""`spec.rollout.rollbackOnFailure`: when the pods of the last Ready revision return, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import SETTINGS, a_pod, waiting
from tests.fakes import World
from triton_operator.api.names import ANNOTATION_FAILED_REVISION, ANNOTATION_RESTORED_REVISION
from triton_operator.api.status import Rollback, Truth
from triton_operator.cluster.observed import DeploymentState, Kind, ObservedCondition, Pod, RevisionState

ON = {"rollbackOnFailure": True}
BAD = {"modelRepository": {"image": {"reference": "example.org/models:bad"}}}
GOOD = {"modelRepository": {"image": {"reference": "example.org/models:1"}}}


def pod_of(world: World, name: str, *, ready: bool, revision: str = "") -> Pod:
    """A pod of the ReplicaSet of a revision; one that is not ready cannot pull its image."""
    revision = revision or world.template_hash
    pull = waiting("ImagePullBackOff", "Back-off pulling image")
    labels = {"pod-template-hash": f"rs{revision}"}
    return a_pod(name, revision=revision, ready=ready, containers=None if ready else (pull,), labels=labels)


async def report_late(world: World, replica_set: str = "") -> None:
    """The Deployment controller reports that the ReplicaSet has exceeded the deadline."""
    message = f'ReplicaSet "digits-rs{replica_set or world.template_hash}" has timed out progressing.'
    await report(
        world,
        ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message=message),
    )


async def report(world: World, *conditions: ObservedCondition) -> None:
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, conditions=conditions))
    await world.reconcile()


async def served(**spec: Any) -> World:
    """One replica serves."""
    world = World(**({"rollout": ON} | spec))
    await world.reconcile()
    world.roll_out(pod_of(world, "old", ready=True))
    await world.reconcile()
    assert world.condition("Ready").reason == "Serving"
    return world


async def failing(world: World, **change: Any) -> World:
    """The old pod serves, and a pod of a bad revision cannot start."""
    old = world.template_hash
    world.edit(**(change or BAD))
    await world.reconcile()
    assert world.template_hash != old
    world.roll_out(
        pod_of(world, "old", ready=True, revision=old),
        pod_of(world, "new", ready=False),
        updated_replicas=1,
    )
    await world.reconcile()
    assert world.condition("Ready").reason == "ImagePullFailed"
    return world


async def rolled_back(world: World, **change: Any) -> World:
    """The deadline has passed, and the Deployment controller has removed the new pod."""
    await failing(world, **change)
    await report_late(world)
    old = pod_of(world, "old", ready=True, revision=world.template_hash)
    await report(world)
    world.roll_out(old)
    await world.reconcile()
    assert world.condition("Ready").reason == "RolledBack"
    return world


def record(world: World) -> Rollback:
    assert world.status.rollout
    assert world.status.rollout.rollback
    return world.status.rollout.rollback


def names_by_image(world: World) -> dict[str, str]:
    """The names of the ControllerRevisions by the image with the models."""
    return {
        world.manifest(Kind.REVISION, name)["data"]["spec"]["modelRepository"]["image"]["reference"]: name
        for name in world.names(Kind.REVISION)
    }


async def test_after_the_deadline_the_pods_of_the_last_ready_revision_return() -> None:
    world = await served()
    good = world.template_hash
    await failing(world)
    assert world.template_hash != good, "not before the deadline"
    await report_late(world)
    assert world.template_hash == good
    names = names_by_image(world)
    rollback = record(world)
    assert rollback.failed_revision == names["example.org/models:bad"]
    assert rollback.restored_revision == names["example.org/models:1"]
    assert rollback.message.startswith(f"revision {rollback.failed_revision} made no progress for ")
    assert "ImagePullFailed" in rollback.message
    assert world.manifest(Kind.DEPLOYMENT)["metadata"]["annotations"] == {
        ANNOTATION_FAILED_REVISION: rollback.failed_revision,
        ANNOTATION_RESTORED_REVISION: rollback.restored_revision,
    }
    event = [event for event in world.cluster.events if event[1] == "RolledBack"]
    assert event == [
        (
            "Warning",
            "RolledBack",
            f"{rollback.message}; the operator returns to revision {names['example.org/models:1']}",
        )
    ]


async def test_an_upgrade_of_the_operator_that_is_rolled_back_has_failed_and_stops_the_others() -> None:
    world = await served(rollout=ON | {"revisionPolicy": "Latest"})
    old = world.template_hash
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    old_pod = pod_of(world, "old", ready=True, revision=old)
    await world.reconcile()
    world.roll_out(old_pod)
    for _ in range(2):
        await world.reconcile()
    assert world.template_hash != old, "it is the turn of this deployment"
    world.roll_out(old_pod, pod_of(world, "new", ready=False), updated_replicas=1)
    await world.reconcile()
    await report_late(world)
    await report(world)
    world.roll_out(old_pod)
    for _ in range(2):
        await world.reconcile()
        assert (world.template_hash, world.condition("Ready").reason) == (old, "RolledBack")
        assert world.status.upgrade
        assert world.status.upgrade.state == "Failed"


async def test_the_status_says_that_the_spec_is_not_served() -> None:
    """Ready is True, because all replicas serve; Stalled is True, because a person has to change the spec."""
    world = await rolled_back(await served())
    ready, stalled = world.condition("Ready"), world.condition("Stalled")
    assert (ready.status, ready.reason) == (Truth.TRUE, "RolledBack")
    assert f"pods of revision {record(world).restored_revision} serve instead" in ready.message
    assert (stalled.status, stalled.reason) == (Truth.TRUE, "RolledBack")
    assert world.condition("Reconciling").status is Truth.FALSE
    assert world.status.last_ready_revision == record(world).restored_revision
    assert [event[1] for event in world.cluster.events].count("RolledBack") == 1


async def test_a_rollback_stays_without_writes_and_after_a_restart() -> None:
    world = await rolled_back(await served())
    good = world.template_hash
    world.forget_writes()
    for _ in range(3):
        await world.reconcile()
    assert world.cluster.writes == []
    world.new_operator()
    await world.reconcile()
    world.forget_writes()
    await world.reconcile()
    assert (world.cluster.writes, world.template_hash) == ([], good)


async def test_a_rollback_survives_the_loss_of_the_status() -> None:
    world = await rolled_back(await served())
    good, before = world.template_hash, record(world)
    world.cluster.statuses.clear()
    world.body.pop("status", None)
    world.edit()
    world.new_operator()
    await world.reconcile()
    await world.reconcile()
    assert world.template_hash == good
    assert record(world).failed_revision == before.failed_revision


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"replicas": 3}, True),
        ({"rollout": ON | {"strategy": "Recreate"}}, True),
        ({"rollout": ON | {"paused": True}}, True),
        ({"rollout": ON | {"restartedAt": "2026-11-30T21:00:00Z"}}, False),
        ({"rollout": None}, False),
        ({"gpu": {"count": 1}}, False),
        ({"models": [{"name": "digits"}, {"name": "digits"}]}, True),
    ],
    ids=["replicas", "strategy", "paused", "restart", "option", "pods", "invalid"],
)
async def test_a_rollback_lasts_until_the_spec_requests_other_pods(change: dict[str, Any], expected: bool) -> None:
    """An invalid spec does not bring the pods back that failed."""
    world = await rolled_back(await served())
    good = world.template_hash
    world.edit(**change)
    await world.reconcile()
    await world.reconcile()
    assert (world.template_hash == good) is expected
    annotations = world.manifest(Kind.DEPLOYMENT)["metadata"].get("annotations")
    assert bool(annotations) is expected
    assert bool(world.status.rollout and world.status.rollout.rollback) is expected


async def test_replicas_change_during_a_rollback() -> None:
    world = await rolled_back(await served())
    world.edit(replicas=3)
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 3


async def test_a_spec_that_returns_to_the_restored_revision_restarts_no_pod() -> None:
    world = await rolled_back(await served())
    good = world.template_hash
    world.edit(**GOOD)
    await world.reconcile()
    assert world.template_hash == good
    assert "annotations" not in world.manifest(Kind.DEPLOYMENT)["metadata"]
    assert world.status.rollout is None
    world.roll_out(pod_of(world, "old", ready=True))
    await world.reconcile()
    assert world.condition("Ready").reason == "Serving"
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []


async def test_the_same_mistake_again_is_tried_again() -> None:
    world = await rolled_back(await served())
    good = world.template_hash
    world.edit(**GOOD)
    await world.reconcile()
    await rolled_back(world)
    assert world.template_hash == good


async def test_without_the_option_the_new_pods_continue_to_start() -> None:
    world = await served(rollout={})
    await failing(world)
    bad = world.template_hash
    await report_late(world)
    assert world.template_hash == bad
    assert world.status.rollout is None or world.status.rollout.rollback is None


async def test_the_option_may_be_set_after_the_failure() -> None:
    world = await served(rollout={})
    good = world.template_hash
    await failing(world)
    await report_late(world)
    world.edit(rollout=ON)
    await world.reconcile()
    assert world.template_hash == good


async def test_the_first_rollout_has_nothing_to_return_to() -> None:
    world = World(rollout=ON)
    await world.reconcile()
    world.roll_out(pod_of(world, "first", ready=False))
    await world.reconcile()
    first = world.template_hash
    await report_late(world)
    assert world.template_hash == first
    assert "not rolled back: no other revision has been Ready" in world.condition("Ready").message


async def test_a_condition_about_an_earlier_rollout_does_not_count() -> None:
    """Kubernetes keeps it until the next rollout makes progress."""
    world = await served(rollout={})
    await failing(world)
    bad = world.template_hash
    await report_late(world)
    old = pod_of(world, "new", ready=False)
    world.edit(gpu={"count": 1}, rollout=ON)
    await world.reconcile()
    world.roll_out(old, pod_of(world, "newer", ready=False), updated_replicas=1)
    current = world.template_hash
    await report_late(world, bad)
    assert world.template_hash == current
    await report_late(world)
    assert world.template_hash != current


async def test_a_condition_that_is_older_than_the_deployment_does_not_count() -> None:
    world = await failing(await served())
    bad = world.template_hash
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, observed_generation=state.generation - 1))
    await report_late(world)
    assert world.template_hash == bad


async def test_a_rollback_after_recreate_uses_the_status() -> None:
    """No old pod is left that could show which revision was Ready; no limit of the history removes that revision."""
    rollout = ON | {"strategy": "Recreate", "revisionHistoryLimit": 0}
    world = await served(rollout=rollout)
    good = world.template_hash
    world.edit(**BAD)
    await world.reconcile()
    world.roll_out(pod_of(world, "new", ready=False))
    await world.reconcile()
    await report_late(world)
    assert world.template_hash == good
    await world.reconcile()
    assert len(world.names(Kind.REVISION)) == 2
    mounted = world.manifest(Kind.REVISION, record(world).restored_revision)["data"]["configName"]
    assert mounted in world.names(Kind.CONFIG_MAP)


@pytest.mark.parametrize(
    "weaker",
    [
        {"privacy": {"profile": "Open"}},
        {"privacy": {"tls": {"mode": "Disabled"}}},
        {"triton": {"openEndpoints": ["Statistics"]}},
    ],
    ids=["profile", "TLS", "endpoints"],
)
async def test_pods_with_less_protection_do_not_return(weaker: dict[str, Any]) -> None:
    """The positive control is every other test of this file."""
    world = await served(**weaker)
    await failing(world, **BAD, privacy={}, triton={})
    bad = world.template_hash
    await report_late(world)
    assert world.template_hash == bad
    assert "has different values of fields that protect data" in world.condition("Ready").message


async def test_a_revision_of_an_earlier_operator_is_reported() -> None:
    world = await served()
    (name,) = world.names(Kind.REVISION)
    state = world.child(Kind.REVISION, name).state
    assert isinstance(state, RevisionState)
    stored = msgspec.json.decode(state.data)
    await failing(world)
    del stored["spec"]
    world.change_child(Kind.REVISION, name, state=msgspec.structs.replace(state, data=msgspec.json.encode(stored)))
    await report_late(world)
    assert "has no spec to return to" in world.condition("Ready").message


STEPS = st.lists(st.sampled_from(["pass", "restart", "late", "replicas", "status"]), max_size=12)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_nothing_but_the_spec_ends_a_rollback(steps: list[str]) -> None:
    """Passes, restarts, further reports about the deadline, scaling, and the loss of the status do not."""

    async def run() -> None:
        world = await rolled_back(await served())
        good, failed = world.template_hash, record(world).failed_revision
        for step in steps:
            if step == "restart":
                world.new_operator()
            elif step == "late":
                await report_late(world)
            elif step == "replicas":
                world.edit(replicas=world.body["spec"]["replicas"] % 3 + 1)
            elif step == "status":
                world.cluster.statuses.clear()
                world.body.pop("status", None)
                world.edit()
            await world.reconcile()
            assert world.template_hash == good
            assert record(world).failed_revision == failed
        await world.reconcile()
        world.forget_writes()
        await world.reconcile()
        assert world.cluster.writes == []

    asyncio.run(run())
