"""A changed policy of the proxy is announced to the pods that mount it, so that the kubelet updates them at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_pod, prepared, serving
from tests.fakes import World
from triton_operator.cluster.errors import DeniedError, UnavailableError
from triton_operator.cluster.observed import Container, Kind, Pod

PROXY = Container(name="proxy", init=True, ready=True, started=True, running=True)


def privacy(*clients: str) -> dict[str, Any]:
    callers = [{"name": name, "certificate": {"san": name}} for name in clients]
    cas = {"clientCas": {"configMapRef": {"name": "cas", "key": "ca.crt"}}} if clients else {}
    return {"tls": {"mode": "Secret", "secretRef": {"name": "certificate"}}, "clients": callers, **cas}


def a_serving_pod(world: World, name: str, **fields: Any) -> Pod:
    containers = (prepared(), PROXY, serving())
    return a_pod(name, revision=world.template_hash, ready=True, containers=containers, **fields)


async def a_world(**fields: Any) -> World:
    """A deployment with two ready pods."""
    world = World(privacy=privacy())
    await world.reconcile()
    world.roll_out(a_serving_pod(world, "digits-1"), a_serving_pod(world, "digits-2", **fields))
    await world.reconcile()
    assert world.cluster.annotated == []
    return world


def announced(world: World) -> list[tuple[str, str]]:
    return [(name, uid) for name, uid, annotations in world.cluster.annotated if set(annotations) == {ANNOTATION}]


ANNOTATION = "triton-operator.io/proxy-policy"


async def test_every_serving_pod_is_told_of_a_changed_policy_once() -> None:
    world = await a_world()
    world.edit(privacy={**privacy(), "audit": "Refused"})
    await world.reconcile()
    assert announced(world) == [("digits-1", "uid-of-digits-1"), ("digits-2", "uid-of-digits-2")]
    assert len({annotations[ANNOTATION] for _, _, annotations in world.cluster.annotated}) == 1
    await world.reconcile()
    assert len(world.cluster.annotated) == 2


async def test_each_policy_has_another_value() -> None:
    """The kubelet would not notice an annotation that stays the same."""
    world = await a_world()
    for audit in ("Refused", "Off"):
        world.edit(privacy={**privacy(), "audit": audit})
        await world.reconcile()
    first, _, second, _ = (annotations[ANNOTATION] for _, _, annotations in world.cluster.annotated)
    assert first != second


async def test_a_restored_policy_is_announced_too() -> None:
    world = await a_world()
    world.change_child(Kind.CONFIG_MAP, "digits-proxy", fingerprint="edited")
    await world.reconcile()
    assert len(announced(world)) == 2


async def test_pods_that_end_or_have_no_proxy_are_left_alone() -> None:
    world = await a_world(deleting=True)
    plain = a_pod("digits-3", revision="old", ready=True)
    world.roll_out(a_serving_pod(world, "digits-1"), a_serving_pod(world, "digits-2", deleting=True), plain)
    world.edit(privacy={**privacy(), "audit": "Refused"})
    await world.reconcile()
    assert [name for name, _ in announced(world)] == ["digits-1"]


@pytest.mark.parametrize(("kind", "count"), [(Kind.SERVICE, 2), (Kind.CONFIG_MAP, 0)])
async def test_only_a_failure_of_the_policy_itself_prevents_the_announcement(kind: Kind, count: int) -> None:
    """A pod must not count as notified of a policy that was not written."""
    world = await a_world()
    world.cluster.answers = {kind: DeniedError("no", status=403)}
    world.edit(privacy={**privacy(), "audit": "Refused"}, service={"type": "NodePort"})
    await world.reconcile()
    assert len(announced(world)) == count


async def test_other_changes_are_not_announced() -> None:
    world = await a_world()
    world.edit(replicas=3)
    await world.reconcile()
    assert world.cluster.annotated == []


async def test_a_pod_that_cannot_be_annotated_follows_later() -> None:
    """The kubelet updates it within about a minute; the pass continues."""
    world = await a_world()
    world.cluster.fail_annotations = UnavailableError("try later", status=503)
    world.edit(privacy={**privacy(), "audit": "Refused"})
    await world.reconcile()
    assert world.status.observed_generation == 2
