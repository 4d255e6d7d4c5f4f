"""`rollout.revisionPolicy: Latest`: whose turn it is to be rendered again, and what the status reports."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, a_pod
from tests.fakes import World
from tests.unit.reconcile.test_caching import a_world as a_world_with_cache
from tests.unit.reconcile.test_caching import change_job, fill
from triton_operator.api.status import UpgradeState
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.upgrades import Upgrades
from triton_operator.resources.settings import Settings

DAY = 86400.0
LATEST = {"revisionPolicy": "Latest"}
NEWER = msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2")
WITHOUT_IMAGES = msgspec.structs.replace(NEWER, images=())


async def _serving(**rollout: Any) -> World:
    world = World(rollout=LATEST | rollout)
    await world.reconcile()
    await _serve(world)
    return world


async def _serve(world: World) -> None:
    world.roll_out(a_pod("digits-1", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").status == "True"


async def _start(world: World, settings: Settings = SETTINGS) -> None:
    """A new operator process. This cluster increases the generation of a Deployment with every apply."""
    world.new_operator(settings)
    await world.reconcile()
    world.roll_out(a_pod("digits-1", revision=world.template_hash, ready=True))


def _state(world: World) -> str:
    return world.status.upgrade.state if world.status.upgrade else ""


def _image(world: World) -> str:
    template = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]
    return str(template["initContainers"][0]["image"])


def _put_other(world: World, state: str | None, *, name: str = "another", **rollout: Any) -> None:
    """Another deployment that serves, as its status shows it."""
    body = copy.deepcopy(world.body)
    version = world.cluster.next_version() + 100000
    body["metadata"] |= {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), "generation": version}
    body["spec"]["rollout"] = LATEST | rollout
    body["status"] = msgspec.to_builtins(world.status)
    for condition in body["status"]["conditions"]:
        condition["status"] = "True" if condition["type"] == "Ready" else condition["status"]
    body["status"]["upgrade"] = {"state": state, "message": ""} if state else None
    world.cache.deployments.put(body)


async def test_pods_are_rendered_again_when_it_is_the_turn_and_the_state_is_reported() -> None:
    world = await _serving()
    before = world.template_hash
    await _start(world, NEWER)
    assert (_state(world), world.template_hash) == ("Waiting", before)
    await world.reconcile()
    await world.reconcile()
    assert (_state(world), _image(world)) == ("Updating", NEWER.operator_image)
    await _serve(world)
    assert world.status.upgrade is None
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []


@pytest.mark.parametrize("policy", [None, "Pinned"])
async def test_pods_are_kept_unless_the_policy_is_latest(policy: str | None) -> None:
    world = World(rollout={"revisionPolicy": policy} if policy else {})
    await world.reconcile()
    before = world.template_hash
    world.new_operator(NEWER)
    for _ in range(3):
        await world.reconcile()
    assert (world.template_hash, world.status.upgrade) == (before, None)


async def test_an_operator_that_renders_the_same_pods_changes_nothing() -> None:
    world = await _serving()
    await _start(world)
    await world.reconcile()
    world.forget_writes()
    await world.reconcile()
    assert (world.cluster.writes, world.status.upgrade) == ([], None)


async def test_a_deployment_waits_while_others_are_updated_without_a_write() -> None:
    world = await _serving()
    _put_other(world, "Updating")
    await _start(world, NEWER)
    await world.reconcile()
    world.forget_writes()
    delay = await world.reconcile()
    assert delay
    assert delay > DAY, "it is not polled, except for the renewal of its certificate"
    assert world.cluster.writes == []
    assert world.status.upgrade
    assert "the update begins after those of other deployments" in world.status.upgrade.message
    _put_other(world, None)
    await world.reconcile()
    assert _state(world) == "Updating"


async def test_after_a_failed_update_no_other_one_begins() -> None:
    world = await _serving()
    _put_other(world, "Failed")
    await _start(world, NEWER)
    for _ in range(3):
        await world.reconcile()
    assert _state(world) == "Waiting"
    _put_other(world, "Failed", revisionPolicy="Pinned")
    await world.reconcile()
    assert _state(world) == "Updating"


async def test_a_deployment_that_cannot_be_rendered_any_more_fails_and_keeps_its_pods() -> None:
    """It is reported once, and not before its turn."""
    world = await _serving()
    before = world.template_hash
    await _start(world, WITHOUT_IMAGES)
    assert (_state(world), world.condition("Accepted").status) == ("Waiting", "True")
    for _ in range(3):
        await world.reconcile()
    assert (_state(world), world.template_hash) == ("Failed", before)
    assert world.status.upgrade
    assert "no other deployment is updated until this is fixed" in world.status.upgrade.message
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []
    world.new_operator(NEWER)
    await world.reconcile()
    assert (_state(world), _image(world)) == ("Updating", NEWER.operator_image)


@pytest.mark.parametrize("rollout", [{"paused": True}, {}])
async def test_a_deployment_that_is_paused_or_does_not_serve_does_not_begin(rollout: dict[str, Any]) -> None:
    world = await _serving(**rollout)
    if not rollout:
        world.roll_out()
        await world.reconcile()
        assert world.condition("Ready").status == "False"
    before = world.template_hash
    world.new_operator(NEWER)
    for _ in range(3):
        await world.reconcile()
    assert (_state(world), world.template_hash) == ("Waiting", before)


async def test_turns_are_in_the_order_of_names_and_within_the_limit() -> None:
    world = await _serving()
    for name in ("d", "c", "b", "a"):
        _put_other(world, "Waiting", name=name)
    upgrades = Upgrades(world.cache.deployments, limit=2)
    assert upgrades.next() == [("shop", "a"), ("shop", "b")]
    assert not upgrades.take(("shop", "c"))
    assert upgrades.take(("shop", "b"))
    assert upgrades.next() == [("shop", "a")]
    _put_other(world, "Waiting", name="0")
    assert upgrades.next() == [("shop", "0")], "a turn that has begun counts before the status shows it"
    assert upgrades.take(("shop", "0"))
    assert not upgrades.take(("shop", "a"))
    assert upgrades.take(("shop", "b")), "a turn is not lost"
    _put_other(world, "Updating", name="b")
    _put_other(world, None, name="0")
    assert upgrades.next() == [("shop", "a")]


async def test_a_paused_update_does_not_keep_others_from_their_turns() -> None:
    world = await _serving()
    _put_other(world, "Updating", name="b", paused=True)
    _put_other(world, "Waiting", name="a")
    assert Upgrades(world.cache.deployments, limit=1).next() == [("shop", "a")]
    _put_other(world, "Updating", name="b")
    assert Upgrades(world.cache.deployments, limit=1).next() == []


async def test_a_restarted_operator_continues_with_the_update_that_has_begun() -> None:
    world = await _serving()
    _put_other(world, "Updating", name="b")
    _put_other(world, "Waiting", name="a")
    restarted = Upgrades(world.cache.deployments, limit=1)
    assert restarted.next() == []
    assert restarted.take(("shop", "b"))
    assert not restarted.take(("shop", "a"))


async def test_the_end_of_an_update_wakes_the_next_deployment() -> None:
    world = await _serving()
    woken: list[tuple[str, str]] = []
    await _start(world, NEWER)
    world.reconciler._wake = woken.append
    await world.reconcile()
    await world.reconcile()
    assert _state(world) == UpgradeState.UPDATING
    _put_other(world, "Waiting")
    woken.clear()
    await _serve(world)
    assert woken == [("shop", "another")]


async def test_a_turn_that_waits_for_a_cache_ends_at_the_deadline_and_begins_again_when_it_is_filled() -> None:
    """Somebody deletes the claim when the turn begins; until then, no pod has been replaced."""
    world = a_world_with_cache(rollout=LATEST)
    claim = await fill(world)
    await _serve(world)
    before = world.template_hash
    await _start(world, NEWER)
    assert _state(world) == "Waiting"
    world.vanish(Kind.CLAIM, claim)
    await world.reconcile()
    delay = await world.reconcile()
    assert (_state(world), world.condition("Ready").reason) == ("Updating", "Caching")
    assert delay == 2400
    _put_other(world, "Waiting")
    others = Upgrades(world.cache.deployments, limit=1)
    assert others.next() == []
    world.pass_time(2400)
    await world.reconcile()
    assert (_state(world), world.template_hash) == ("Waiting", before)
    assert others.next() == [("shop", "another")]
    _put_other(world, None)
    change_job(world, complete=True)
    for _ in range(3):
        await world.reconcile()
    assert (_state(world), _image(world)) == ("Updating", NEWER.operator_image)
