"""An edit of an object that protects privacy is undone and reported once; changes by the operator are not reported."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.fakes import World
from triton_operator.cluster.errors import DeniedError, UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.edit_events import BURST, REFILL

Object = dict[str, Any]

TLS = {"tls": {"mode": "Secret", "secretRef": {"name": "certificate"}}}
POLICY, PROXY = (Kind.NETWORK_POLICY, "digits"), (Kind.CONFIG_MAP, "digits-proxy")
EDITED: dict[tuple[Kind, str], Object] = {POLICY: {"spec": {"f:egress": {}}}, PROXY: {"data": {"f:policy.json": {}}}}


async def a_world(**spec: Any) -> World:
    world = World(**({"privacy": TLS} | spec))
    await world.reconcile()
    world.cluster.events.clear()
    return world


def edit(world: World, child: tuple[Kind, str], manager: str = "kubectl-edit", number: int = 0) -> None:
    """Somebody changes a child, and the watch reports it."""
    kind, name = child
    body = copy.deepcopy(world.manifest(kind, name))
    fields = {f"f:{key}": value for key, value in EDITED[child].items()}
    body["metadata"]["managedFields"] = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    world.cluster.live[kind, "shop", name] = body
    world.change_child(kind, name, fingerprint=f"edited-{number}", has_foreign_fields=True)


def messages(world: World, reason: str) -> list[str]:
    return [message for kind, each, message in world.cluster.events if (kind, each) == ("Warning", reason)]


@pytest.mark.parametrize(
    ("child", "reason", "message"),
    [
        (
            POLICY,
            "NetworkPolicyRestored",
            "field manager kubectl-edit changed spec.egress of NetworkPolicy digits, which is restored",
        ),
        (
            PROXY,
            "ProxyConfigRestored",
            "field manager kubectl-edit changed data[policy.json] of ConfigMap digits-proxy, which is restored",
        ),
    ],
)
async def test_an_edit_is_reported_once(child: tuple[Kind, str], reason: str, message: str) -> None:
    world = await a_world()
    edit(world, child)
    await world.reconcile()
    await world.reconcile()
    assert messages(world, reason) == [message]
    assert len(world.cluster.events) == 1


@pytest.mark.parametrize("child", [POLICY, PROXY])
async def test_a_deleted_object_is_reported(child: tuple[Kind, str]) -> None:
    world = await a_world()
    world.vanish(*child)
    await world.reconcile()
    (event,) = world.cluster.events
    assert event[2] == f"somebody else deleted {child[0]} {child[1]}, which is restored"


async def test_changes_by_the_operator_are_not_reported() -> None:
    """Neither changes of the spec nor the removal and the return of the objects."""
    world = await a_world()
    for privacy in (
        {**TLS, "audit": "Refused"},
        {**TLS, "network": {"allowFrom": [{"namespaceSelector": {}}]}},
        {"tls": {"mode": "Disabled"}},
        {"profile": "Open"},
        TLS,
    ):
        world.edit(privacy=privacy)
        await world.reconcile()
    world.new_operator()
    await world.reconcile()
    assert [each for each in world.cluster.events if each[1].endswith("Restored")] == []


async def test_edits_of_other_children_are_not_reported() -> None:
    world = await a_world()
    world.change_child(Kind.SERVICE, fingerprint="edited")
    await world.reconcile()
    assert "apply Service/digits" in world.cluster.writes
    assert world.cluster.events == []


async def test_a_label_of_somebody_else_is_not_reported() -> None:
    """It changes the fingerprint, and stays."""
    world = await a_world()
    world.change_child(*POLICY, fingerprint="labelled")
    await world.reconcile()
    assert world.cluster.events == []


async def test_an_edit_that_could_not_be_undone_is_not_reported_as_restored() -> None:
    world = await a_world()
    world.change_child(*POLICY, fingerprint="edited")
    live = copy.deepcopy(world.manifest(*POLICY))
    live["spec"]["policyTypes"] = ["Ingress"]
    world.cluster.live[Kind.NETWORK_POLICY, "shop", "digits"] = live
    world.cluster.answers = {Kind.NETWORK_POLICY: DeniedError("no", status=403)}
    await world.reconcile()
    assert messages(world, "NetworkPolicyRestored") == []
    world.cluster.answers = {}
    world.pass_time(3600)
    await world.reconcile()
    changed = "somebody else changed spec.policyTypes of NetworkPolicy digits, which is restored"
    assert messages(world, "NetworkPolicyRestored") == [changed]


async def test_an_object_that_cannot_be_read_is_restored_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await a_world()
    edit(world, POLICY)

    async def fail(*_: object) -> None:
        raise UnavailableError("try later", status=503)

    monkeypatch.setattr(world.cluster, "read", fail)
    world.forget_writes()
    await world.reconcile()
    assert "replace NetworkPolicy/digits" in world.cluster.writes
    changed = "somebody else changed NetworkPolicy digits, which is restored"
    assert messages(world, "NetworkPolicyRestored") == [changed]


async def test_a_client_that_never_stops_causes_few_events() -> None:
    world = await a_world()
    for number in range(20):
        edit(world, POLICY, number=number)
        await world.reconcile()
    assert len(messages(world, "NetworkPolicyRestored")) == BURST
    edit(world, PROXY)
    await world.reconcile()
    assert len(messages(world, "ProxyConfigRestored")) == 1
    world.pass_time(REFILL.total_seconds())
    edit(world, POLICY, "mallory", 20)
    await world.reconcile()
    last = messages(world, "NetworkPolicyRestored")[-1]
    assert last.startswith("field manager mallory changed spec.egress of ")
    assert last.endswith(f"({20 - BURST} more edits were undone since the last Event)")


async def test_an_immutable_config_map_is_created_again() -> None:
    """The operator could not change the callers in it."""
    world = await a_world()
    world.change_child(*PROXY, fingerprint="edited", is_frozen=True)
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes[:2] == ["delete ConfigMap/digits-proxy", "create ConfigMap/digits-proxy"]
    changed = "somebody else changed ConfigMap digits-proxy, which is restored"
    assert messages(world, "ProxyConfigRestored") == [changed]
