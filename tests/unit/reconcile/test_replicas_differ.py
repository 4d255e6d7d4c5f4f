"""Replicas that serve different models: the message in the status, and differences that do not count."""

from __future__ import annotations

import pytest

from tests.builders import a_pod, ended_prepare, prepared, serving
from tests.fakes import World
from triton_operator.api.status import ModelState, Truth
from triton_operator.cluster.observed import Container

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


async def _with(*containers: Container, updated: int | None = None) -> World:
    """One ready pod for each of these `prepare` containers."""
    world = World(replicas=len(containers), privacy={"profile": "Open"})
    await world.reconcile()
    pods = [
        a_pod(f"digits-{number}", revision=world.template_hash, ready=True, containers=(prepare, serving()))
        for number, prepare in enumerate(containers)
    ]
    world.roll_out(*pods, **({} if updated is None else {"updated_replicas": updated}))
    await world.reconcile()
    return world


async def test_the_status_says_which_digest_runs_where_and_how_to_converge() -> None:
    world = await _with(prepared(digest=ONE), prepared(digest=ONE), prepared(digest=TWO))
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == (Truth.FALSE, "ReplicasDiffer")
    assert f"model digits: {ONE} in digits-0, digits-1; {TWO} in digits-2" in ready.message
    assert "kubectl rollout restart -n shop deployment/digits" in ready.message
    assert world.condition("ModelsPrepared").reason == "ReplicasDiffer"
    assert world.condition("Stalled").status is Truth.TRUE
    assert world.condition("Available").status is Truth.TRUE
    (model,) = world.status.models
    assert (model.state, model.digest) == (ModelState.MIXED, "")
    assert f"{TWO} in digits-2" in model.message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (prepared(digest=ONE, content="a" * 12), prepared(digest=ONE, content="b" * 12)),
        (prepared(content="a" * 12), prepared(content="b" * 12)),
        (prepared(versions=("1",)), prepared(versions=("1", "2"))),
    ],
    ids=["another configuration", "too large for a digest", "another version, by an older release"],
)
async def test_what_is_not_in_a_digest_counts_too(first: Container, second: Container) -> None:
    world = await _with(first, second)
    assert world.condition("Ready").reason == "ReplicasDiffer"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (prepared(digest=ONE, content="a" * 12), prepared(digest=ONE, content="a" * 12)),
        (prepared(digest=ONE), prepared()),
        (prepared(digest=ONE), ended_prepare("")),
    ],
    ids=["the same", "one report without digests", "one that is not prepared"],
)
async def test_equal_and_incomparable_reports_are_no_difference(first: Container, second: Container) -> None:
    world = await _with(first, second)
    assert world.condition("ModelsPrepared").reason != "ReplicasDiffer"
    assert world.status.models[0].state is ModelState.READY


async def test_replicas_that_are_restarted_one_by_one_are_under_way() -> None:
    world = await _with(prepared(digest=ONE), prepared(digest=TWO), updated=1)
    assert world.condition("Ready").reason == "RollingOut"
    assert world.condition("Stalled").status is Truth.FALSE
    assert world.status.models[0].state is ModelState.MIXED


async def test_the_status_is_whole_again_once_all_have_the_same() -> None:
    world = await _with(prepared(digest=ONE), prepared(digest=TWO))
    pods = [
        a_pod(f"new-{n}", revision=world.template_hash, ready=True, containers=(prepared(digest=TWO), serving()))
        for n in range(2)
    ]
    world.roll_out(*pods)
    await world.reconcile()
    assert world.condition("Ready").reason == "Serving"
    assert (world.status.models[0].state, world.status.models[0].digest) == (ModelState.READY, TWO)


async def test_an_older_revision_may_have_other_files() -> None:
    world = await _with(prepared(digest=ONE))
    old = a_pod("old", revision="0123456789", ready=True, containers=(prepared(digest=TWO), serving()))
    new = a_pod("new", revision=world.template_hash, ready=True, containers=(prepared(digest=ONE), serving()))
    world.roll_out(old, new)
    await world.reconcile()
    assert world.condition("Ready").reason != "ReplicasDiffer"
