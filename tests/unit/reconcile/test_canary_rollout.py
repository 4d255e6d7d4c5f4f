"""`spec.rollout.strategy: Canary`: the second Deployment, its promotion, and its removal after a failure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, a_pod, serving
from tests.fakes import World
from triton_operator.api.names import LABEL_TRACK, TRACK_CANARY, all_tracks, selector_labels
from triton_operator.api.status import CanaryPhase, CanaryStatus
from triton_operator.cluster.observed import Container, DeploymentState, Kind, ObservedCondition, Pod, Terminated

STEPS = [{"weight": 10, "pause": {"seconds": 60}}, {"weight": 50}, {"weight": 100}]
CANARY = {"strategy": "Canary", "canary": {"steps": STEPS}}
NEW = {"modelRepository": {"image": {"reference": "example.org/models:2"}}}
NAME = "digits-canary"


def stable_pods(world: World, count: int = 4, **fields: Any) -> list[Pod]:
    return [a_pod(f"stable-{index}", revision=world.template_hash, ready=True, **fields) for index in range(count)]


def canary_hash(world: World) -> str:
    labels = world.manifest(Kind.DEPLOYMENT, NAME)["spec"]["template"]["metadata"]["labels"]
    return str(labels["triton-operator.io/revision"])


def canary_pod(world: World, index: int = 0, *, ready: bool = True, **fields: Any) -> Pod:
    labels = {LABEL_TRACK: TRACK_CANARY}
    return a_pod(f"canary-{index}", revision=canary_hash(world), ready=ready, labels=labels, **fields)


def report(world: World, stable: list[Pod], canary: list[Pod], *conditions: ObservedCondition) -> None:
    """The controllers and the kubelet have done their work."""
    world.roll_out(*stable)
    if (Kind.DEPLOYMENT, "shop", NAME) in world.cluster.objects:
        state = world.child(Kind.DEPLOYMENT, NAME).state
        assert isinstance(state, DeploymentState)
        count, ready = len(canary), sum(pod.conditions[0].status == "True" for pod in canary)
        state = msgspec.structs.replace(
            state,
            observed_generation=state.generation,
            current_replicas=count,
            updated_replicas=count,
            ready_replicas=ready,
            available_replicas=ready,
            conditions=conditions,
        )
        world.change_child(Kind.DEPLOYMENT, NAME, state=state)
    version = world.cluster.next_version()
    pods = [msgspec.structs.replace(pod, resource_version=version) for pod in (*stable, *canary)]
    world.cache.pods.replace(pods, None)


async def settle(world: World) -> float | None:
    """Passes, after each of which the Deployment controller observes the canary; returns when the next one is due."""
    delay = None
    for _ in range(3):
        delay = await world.reconcile()
        observe_canary(world)
    return delay


def observe_canary(world: World) -> None:
    if has_canary(world):
        state = world.child(Kind.DEPLOYMENT, NAME).state
        assert isinstance(state, DeploymentState)
        state = msgspec.structs.replace(state, observed_generation=state.generation)
        world.change_child(Kind.DEPLOYMENT, NAME, state=state)


def status(world: World) -> CanaryStatus:
    assert world.status.rollout
    assert world.status.rollout.canary
    return world.status.rollout.canary


def has_canary(world: World) -> bool:
    return NAME in world.names(Kind.DEPLOYMENT)


async def served(**spec: Any) -> World:
    fields: dict[str, Any] = {"rollout": CANARY, "replicas": 4} | spec
    world = World(**fields)
    await world.reconcile()
    world.roll_out(*stable_pods(world, world.body["spec"]["replicas"]))
    await world.reconcile()
    assert world.condition("Ready").reason == "Serving"
    return world


async def begun(**spec: Any) -> World:
    """The spec has changed, and a canary has been created."""
    world = await served(**spec)
    world.edit(**NEW)
    await world.reconcile()
    assert has_canary(world)
    return world


async def in_last_step(**spec: Any) -> World:
    """Half of the pods are the canary's, and wait for a person."""
    world = await begun(**spec)
    stable = stable_pods(world)
    report(world, stable, [canary_pod(world)])
    await settle(world)
    world.pass_time(60)
    await settle(world)
    report(world, stable, [canary_pod(world, index) for index in range(4)])
    await settle(world)
    assert status(world).phase is CanaryPhase.PAUSED
    return world


async def test_the_stable_pods_stay_as_they_are_and_a_canary_starts_next_to_them() -> None:
    world = await served()
    before = world.manifest(Kind.DEPLOYMENT)
    world.edit(**NEW)
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT) == before
    canary = world.manifest(Kind.DEPLOYMENT, NAME)["spec"]
    assert canary["replicas"] == 1
    assert canary["selector"]["matchLabels"] == selector_labels("digits", TRACK_CANARY)
    assert canary["template"]["metadata"]["labels"].items() >= canary["selector"]["matchLabels"].items()
    assert not before["spec"]["selector"]["matchLabels"].items() <= canary["template"]["metadata"]["labels"].items()
    assert canary_hash(world) != world.template_hash
    mounted = {volume["configMap"]["name"] for volume in _config_volumes(canary["template"])}
    assert mounted <= set(world.names(Kind.CONFIG_MAP))
    assert (world.condition("Ready").reason, status(world).phase) == ("RollingOut", CanaryPhase.PROGRESSING)


async def test_services_and_policies_select_both_tracks_and_only_with_a_canary() -> None:
    with_canary = await begun()
    plain = World(rollout={}, replicas=4)
    await plain.reconcile()
    for world, labels in ((with_canary, all_tracks("digits")), (plain, selector_labels("digits"))):
        for name in ("digits", "digits-headless"):
            assert world.manifest(Kind.SERVICE, name)["spec"]["selector"] == labels
        assert world.manifest(Kind.NETWORK_POLICY)["spec"]["podSelector"]["matchLabels"] == labels
        assert world.manifest(Kind.DISRUPTION_BUDGET)["spec"]["selector"]["matchLabels"] == labels


async def test_the_policy_covers_pods_of_a_canary_until_the_last_one_is_gone() -> None:
    world = await begun()
    report(world, stable_pods(world), [canary_pod(world)])
    await settle(world)
    world.edit(rollout={}, modelRepository={"image": {"reference": "example.org/models:1"}})
    report(world, stable_pods(world), [canary_pod(world, deleting=True)])
    await settle(world)
    assert not has_canary(world)
    selected = world.manifest(Kind.NETWORK_POLICY)["spec"]["podSelector"]["matchLabels"]
    assert selected == all_tracks("digits"), "the pod still exists"
    report(world, stable_pods(world), [])
    await settle(world)
    selected = world.manifest(Kind.NETWORK_POLICY)["spec"]["podSelector"]["matchLabels"]
    assert selected == selector_labels("digits")


async def test_the_steps_follow_each_other_and_the_status_reports_the_actual_share() -> None:
    world = await begun()
    stable = stable_pods(world)
    report(world, stable, [canary_pod(world, ready=False, containers=(serving(ready=False, started=False),))])
    await settle(world)
    world.pass_time(600)
    await settle(world)
    assert (status(world).step, status(world).weight) == (1, 0), "the pause has not begun"
    report(world, stable, [canary_pod(world)])
    delay = await settle(world)
    assert (status(world).step, status(world).weight) == (1, 20)
    assert "20% of the pods for a weight of 10%" in status(world).message
    assert "does not see requests" in status(world).message
    assert delay == 60
    world.pass_time(60)
    await settle(world)
    assert world.manifest(Kind.DEPLOYMENT, NAME)["spec"]["replicas"] == 4
    report(world, stable, [canary_pod(world, index) for index in range(4)])
    await settle(world)
    assert (status(world).phase, status(world).step, status(world).weight) == (CanaryPhase.PAUSED, 2, 50)
    assert "tritonctl rollout resume digits -n shop" in world.condition("Ready").message


async def test_a_resumed_last_step_promotes_and_the_canary_serves_until_the_stable_pods_are_new() -> None:
    world = await in_last_step()
    old, new = await resume_last_step(world)
    assert world.template_hash == new
    strategy = world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}, "no further GPU is needed"
    canary = [canary_pod(world, index) for index in range(4)]
    mixed = [a_pod("stable-0", revision=old, ready=True), a_pod("stable-4", revision=new, ready=True)]
    report(world, mixed, canary)
    world.roll_out(*mixed, updated_replicas=1)
    report_pods(world, mixed, canary)
    await settle(world)
    assert has_canary(world)
    assert status(world).phase is CanaryPhase.PROMOTING
    report(world, stable_pods(world), canary)
    await settle(world)
    assert not has_canary(world)
    report(world, stable_pods(world), [])
    await settle(world)
    assert world.condition("Ready").reason == "Serving"
    assert world.status.rollout is None
    assert [reason for _, reason, _ in world.cluster.events if reason.startswith("Canary")] == [
        "CanaryProgressing",
        "CanaryPaused",
        "CanaryPromoting",
    ]


async def resume_last_step(world: World) -> tuple[str, str]:
    """The promotion begins, and no stable pod has changed yet; returns the old and the new template."""
    old, new = world.template_hash, canary_hash(world)
    resumed = f"{status(world).revision}/{status(world).step}"
    world.edit(rollout=CANARY | {"canary": {"steps": STEPS, "resumed": resumed}})
    await settle(world)
    stable = [a_pod(f"stable-{index}", revision=old, ready=True) for index in range(4)]
    world.roll_out(*stable, updated_replicas=0)
    report_pods(world, stable, [canary_pod(world, index) for index in range(4)])
    await settle(world)
    return old, new


async def test_a_spec_that_changes_at_the_beginning_of_a_promotion_is_tried_as_a_canary() -> None:
    world = await in_last_step()
    _, promoted = await resume_last_step(world)
    world.edit(modelRepository={"image": {"reference": "example.org/models:3"}})
    await settle(world)
    assert world.template_hash == promoted
    assert canary_hash(world) != promoted
    assert status(world).phase is CanaryPhase.PROGRESSING


def report_pods(world: World, stable: list[Pod], canary: list[Pod]) -> None:
    version = world.cluster.next_version()
    pods = [msgspec.structs.replace(pod, resource_version=version) for pod in (*stable, *canary)]
    world.cache.pods.replace(pods, None)


def _crashed() -> Container:
    ended = Terminated(exit_code=139, reason="Error", finished_at="2026-01-02T03:04:05Z")
    return msgspec.structs.replace(serving(ready=True), restarts=1, last_terminated=ended)


@pytest.mark.parametrize(
    ("pod", "conditions", "cause"),
    [
        ({"ready": True, "containers": (_crashed(),)}, (), "container triton of pod canary-0 restarted"),
        (
            {"ready": False, "containers": (serving(ready=False, started=False),)},
            (ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded"),),
            "no progress for 2400 s",
        ),
        ({"ready": False, "containers": (serving(ready=False, started=True),)}, (), "is not ready although"),
    ],
    ids=["restart", "deadline", "readiness"],
)
async def test_a_canary_that_fails_is_removed_and_not_tried_again(
    pod: dict[str, Any], conditions: tuple[ObservedCondition, ...], cause: str
) -> None:
    world = await begun()
    before, stable = world.manifest(Kind.DEPLOYMENT)["spec"], stable_pods(world)
    report(world, stable, [canary_pod(world)])
    await settle(world)
    report(world, stable, [canary_pod(world, **pod)], *conditions)
    delay = await world.reconcile()
    if cause == "is not ready although":
        assert has_canary(world), "it may be busy"
        assert delay is not None
        assert delay <= 5
        world.pass_time(5)
    await settle(world)
    assert not has_canary(world)
    assert world.manifest(Kind.DEPLOYMENT)["spec"] == before
    aborted = status(world)
    assert aborted.phase is CanaryPhase.ABORTED
    assert cause in aborted.message
    assert [kind for kind, reason, _ in world.cluster.events if reason == "CanaryAborted"] == ["Warning"]
    assert not [reason for _, reason, _ in world.cluster.events if reason == "RolledBack"]
    report(world, stable, [])
    world.new_operator()
    world.forget_writes()
    await settle(world)
    assert status(world) == aborted
    assert not [write for write in world.cluster.writes if write.startswith(("create", "delete"))]
    assert world.manifest(Kind.DEPLOYMENT)["spec"] == before
    assert (world.condition("Ready").reason, world.condition("Stalled").status) == ("RolledBack", "True")


async def test_another_spec_is_tried_after_an_aborted_one() -> None:
    world = await begun()
    report(world, stable_pods(world), [canary_pod(world, containers=(_crashed(),))])
    await settle(world)
    assert not has_canary(world)
    report(world, stable_pods(world), [])
    world.edit(modelRepository={"image": {"reference": "example.org/models:3"}})
    await settle(world)
    assert has_canary(world)
    assert "annotations" not in world.manifest(Kind.DEPLOYMENT)["metadata"]
    assert status(world).phase is CanaryPhase.PROGRESSING


async def test_a_restarted_operator_continues_with_the_same_step_and_writes_nothing() -> None:
    world = await in_last_step()
    world.new_operator()
    world.forget_writes()
    await settle(world)
    assert not [write for write in world.cluster.writes if write.startswith(("create", "delete"))]
    assert (status(world).phase, status(world).step) == (CanaryPhase.PAUSED, 2)


async def test_a_spec_that_changes_meanwhile_begins_with_the_first_step() -> None:
    world = await in_last_step()
    old, tried = world.template_hash, canary_hash(world)
    world.edit(modelRepository={"image": {"reference": "example.org/models:3"}})
    await settle(world)
    assert canary_hash(world) not in {tried, old}
    assert world.template_hash == old
    assert world.manifest(Kind.DEPLOYMENT, NAME)["spec"]["replicas"] == 1


async def test_a_spec_that_returns_to_the_stable_pods_removes_the_canary() -> None:
    world = await begun()
    old = world.template_hash
    world.edit(modelRepository={"image": {"reference": "example.org/models:1"}})
    report(world, stable_pods(world), [])
    await settle(world)
    assert not has_canary(world)
    assert (world.template_hash, world.condition("Ready").reason) == (old, "Serving")


async def test_a_spec_that_returns_to_the_stable_pods_keeps_them_after_an_upgrade_of_the_operator() -> None:
    """The newer version renders other pods."""
    world = await served()
    old = world.template_hash
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    world.edit(**NEW)
    await settle(world)
    assert has_canary(world)
    world.edit(modelRepository={"image": {"reference": "example.org/models:1"}})
    for _ in range(2):
        await settle(world)
        assert (has_canary(world), world.template_hash) == (False, old)
    report(world, stable_pods(world), [])
    await settle(world)
    assert world.condition("Ready").reason == "Serving"
    world.forget_writes()
    await settle(world)
    assert world.cluster.writes == []


async def test_a_lost_revision_of_the_stable_pods_is_reported() -> None:
    world = await begun()
    (stable,) = (name for name in world.names(Kind.REVISION) if name != status(world).revision)
    del world.cluster.objects[Kind.REVISION, "shop", stable]
    world.cache.children.remove(world.cache.children.get(world.key)[Kind.REVISION, stable])
    await world.reconcile()
    skipped = [message for _, reason, message in world.cluster.events if reason == "CanarySkipped"]
    assert "the revision of the current pods does not exist any more" in skipped[0]


async def test_pods_of_a_later_step_that_find_no_room_abort_the_canary() -> None:
    """Kubernetes applies no deadline: all pods of this template have been available before."""
    world = await begun()
    stable = stable_pods(world)
    available = ObservedCondition(type="Progressing", status="True", reason="NewReplicaSetAvailable")
    rejected = ObservedCondition(type="ReplicaFailure", status="True", message="exceeded quota: gpus")
    report(world, stable, [canary_pod(world)], available)
    await settle(world)
    world.pass_time(60)
    await settle(world)
    assert status(world).step == 2
    report(world, stable, [canary_pod(world)], available, rejected)
    assert await settle(world) == 2400
    world.new_operator()
    world.pass_time(2400)
    await settle(world)
    assert not has_canary(world)
    assert "no progress for 2400 s; exceeded quota: gpus" in status(world).message


async def test_nothing_changes_while_the_rollout_is_paused() -> None:
    world = await served()
    old = world.template_hash
    world.edit(rollout=CANARY | {"paused": True}, **NEW)
    await world.reconcile()
    report(world, stable_pods(world), [])
    await settle(world)
    assert (has_canary(world), world.template_hash) == (False, old)
    assert world.condition("Ready").reason == "RolloutPaused"
    world.edit(rollout=CANARY)
    await settle(world)
    assert has_canary(world)
    assert world.template_hash == old


async def test_a_first_revision_that_never_served_is_replaced_without_a_canary() -> None:
    world = World(rollout=CANARY, replicas=4)
    await world.reconcile()
    old = world.template_hash
    world.edit(**NEW)
    await settle(world)
    assert not has_canary(world)
    assert world.template_hash != old


async def test_a_change_that_protects_data_reaches_all_pods_at_once_and_says_so() -> None:
    world = await served()
    old = world.template_hash
    world.edit(privacy={"profile": "Open"})
    await world.reconcile()
    assert not has_canary(world)
    assert world.template_hash != old
    skipped = [message for _, reason, message in world.cluster.events if reason == "CanarySkipped"]
    cause = "fields that protect data have changed, so all pods have to change"
    assert skipped == [f"replacing all pods without a canary: {cause}"]


async def test_a_requested_spec_that_is_invalid_changes_no_pod() -> None:
    world = await served()
    old = world.template_hash
    world.edit(rollout=CANARY, **NEW, models=[{"name": "a/b"}])
    await settle(world)
    assert (has_canary(world), world.template_hash) == (False, old)
    assert world.condition("Ready").reason == "InvalidSpec"


async def test_available_counts_the_canary_while_the_only_stable_pod_is_replaced() -> None:
    world = await begun(replicas=1)
    report(world, [], [canary_pod(world)])
    await settle(world)
    assert world.condition("Available").status == "True"


def _config_volumes(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [volume for volume in template["spec"]["volumes"] if "configMap" in volume]


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"rollout": {"strategy": "Canary"}}, ["spec.rollout.canary: is required with the strategy Canary"]),
        (
            {"rollout": {"canary": {"steps": STEPS}}},
            ["spec.rollout.canary: has no effect unless strategy is Canary"],
        ),
        (
            {"autoscaling": {"maxReplicas": 3}, "rollout": {"strategy": "Canary", "canary": {"steps": STEPS[::-1]}}},
            [
                "spec.autoscaling: cannot be used with the strategy Canary",
                "spec.rollout.canary.steps: must have 1 to 10 steps",
                "spec.rollout.canary.steps: must have increasing weights",
            ],
        ),
        (
            {"rollout": {"strategy": "Canary", "canary": {"steps": [{"weight": 60, "pause": {"seconds": -1}}]}}},
            [
                "spec.rollout.canary.steps[0].weight: must be from 1 to 50",
                "spec.rollout.canary.steps[0].pause.seconds: must be from 0 to 604800",
            ],
        ),
        (
            {
                "rollout": {
                    "strategy": "Canary",
                    "canary": {"steps": [STEPS[0], {"weight": 100, "pause": {"seconds": 1}}]},
                }
            },
            ["spec.rollout.canary.steps[1].pause: has no effect"],
        ),
    ],
)
async def test_all_mistakes_are_reported_at_once_for_an_object_of_an_older_definition(
    fields: dict[str, Any], problems: list[str]
) -> None:
    world = World(**fields)
    await world.reconcile()
    message = world.condition("Ready").message
    assert world.condition("Ready").reason == "InvalidSpec"
    assert [problem for problem in problems if problem not in message] == []
