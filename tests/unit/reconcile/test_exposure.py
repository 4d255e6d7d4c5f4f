"""The condition Exposed, the external address, and what happens to a host that another deployment has."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from tests.builders import WITHOUT_TLS, a_pod
from tests.fakes import World
from triton_operator.api.conditions import EXPOSED, READY
from triton_operator.api.status import Truth
from triton_operator.cluster.errors import DeniedError
from triton_operator.cluster.observed import IngressState, Kind
from triton_operator.reconcile.next_pass import HELD_HOST_INTERVAL

HOST = "digits.example.com"
INGRESS: dict[str, Any] = {"ingress": {"className": "nginx", "host": HOST, "tls": {}}}
CONTROLLER = {"network": {"allowFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress-nginx"}}}]}}
CREATED = "2026-01-02T03:04:05Z"


async def exposed(**spec: Any) -> World:
    """A deployment with an Ingress."""
    world = World(**{"exposure": INGRESS, "privacy": CONTROLLER, **spec})
    await world.reconcile()
    return world


async def with_addresses(world: World, *addresses: str) -> World:
    """The controller gives both Ingresses these addresses."""
    for name in ("digits-http", "digits-grpc"):
        state = world.child(Kind.INGRESS, name).state
        assert isinstance(state, IngressState)
        world.change_child(Kind.INGRESS, name, state=msgspec.structs.replace(state, addresses=addresses))
    await world.reconcile()
    return world


def judged(world: World) -> tuple[Truth, str]:
    condition = world.condition(EXPOSED)
    return condition.status, condition.reason


async def test_without_exposure_there_is_no_condition() -> None:
    world = World()
    await world.reconcile()
    assert EXPOSED not in {condition.type for condition in world.status.conditions}


async def test_an_ingress_without_an_address_names_its_class() -> None:
    world = await exposed()
    assert world.names(Kind.INGRESS) == ["digits-grpc", "digits-http"]
    assert judged(world) == (Truth.FALSE, "AddressPending")
    assert "check that IngressClass nginx exists" in world.condition(EXPOSED).message
    assert not world.status.endpoints.external


async def test_the_address_of_the_controller_is_reported_without_a_write() -> None:
    world = await exposed()
    world.forget_writes()
    await with_addresses(world, "203.0.113.7")
    assert judged(world) == (Truth.TRUE, "Exposed")
    assert world.condition(EXPOSED).message == (
        f"Ingress digits-grpc and digits-http for {HOST} have the address 203.0.113.7, to which the name must lead"
    )
    assert world.status.endpoints.external == (f"https://{HOST}:443",)
    assert set(world.cluster.writes) == {"status digits"}


async def test_without_tls_both_protocols_have_a_url() -> None:
    world = await exposed(exposure={"ingress": {"host": HOST}}, privacy={"profile": "Open"})
    await with_addresses(world, "203.0.113.7")
    assert world.status.endpoints.external == (f"http://{HOST}:80", f"grpc://{HOST}:80")


async def test_a_policy_that_admits_no_controller_is_reported() -> None:
    world = await with_addresses(await exposed(privacy={}), "203.0.113.7")
    assert "spec.privacy.network.allowFrom" in world.condition(EXPOSED).message
    world.edit(privacy=CONTROLLER)
    await world.reconcile()
    assert "allowFrom" not in world.condition(EXPOSED).message


async def test_removing_exposure_deletes_the_ingresses() -> None:
    world = await exposed()
    world.edit(exposure=None)
    await world.reconcile()
    assert world.names(Kind.INGRESS) == []
    assert EXPOSED not in {condition.type for condition in world.status.conditions}


async def test_a_host_belongs_to_the_deployment_that_had_it_first() -> None:
    world = World(exposure=INGRESS, privacy=CONTROLLER)
    world.expose_elsewhere(INGRESS, "2026-01-01T00:00:00Z")
    delay = await world.reconcile()
    assert world.names(Kind.INGRESS) == []
    assert judged(world) == (Truth.FALSE, "HostInUse")
    assert "elsewhere" not in world.condition(EXPOSED).message, "the name of the other namespace is nobody's business"
    assert world.condition("Accepted").status is Truth.TRUE
    assert delay is not None
    assert delay <= HELD_HOST_INTERVAL.total_seconds()
    world.cache.deployments.remove("elsewhere", "rival")
    await world.reconcile()
    assert world.names(Kind.INGRESS) == ["digits-grpc", "digits-http"]


async def test_an_edit_of_an_older_ingress_takes_no_host() -> None:
    world = await with_addresses(await exposed(), "203.0.113.7")
    world.expose_elsewhere(INGRESS, "2026-01-01T00:00:00Z", edited=True)
    await world.reconcile()
    assert judged(world) == (Truth.TRUE, "Exposed")


async def test_nobody_takes_the_host_of_an_existing_ingress() -> None:
    world = await with_addresses(await exposed(), "203.0.113.7")
    world.expose_elsewhere(INGRESS, "2026-01-02T03:04:06Z")
    await world.reconcile()
    assert judged(world) == (Truth.TRUE, "Exposed")


async def test_of_two_ingresses_created_at_once_the_younger_one_is_deleted() -> None:
    world = await exposed()
    world.expose_elsewhere(INGRESS, "2026-01-02T03:04:04Z")
    await world.reconcile()
    assert world.names(Kind.INGRESS) == []


async def test_a_missing_permission_is_reported_until_it_is_granted() -> None:
    world = World(exposure=INGRESS, privacy=CONTROLLER)
    world.cache.unavailable[Kind.INGRESS] = HTTPStatus.FORBIDDEN
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "Forbidden")
    assert "rbac.exposure" in world.condition(EXPOSED).message
    assert world.names(Kind.DEPLOYMENT) == ["digits"]
    del world.cache.unavailable[Kind.INGRESS]
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "AddressPending")


async def test_a_rejected_ingress_is_reported_and_pods_start() -> None:
    """As the admission webhook of ingress-nginx rejects a host that an Ingress of others has."""
    world = World(exposure=INGRESS, privacy=CONTROLLER)
    message = 'admission webhook "validate.nginx.ingress.kubernetes.io" denied the request: host "x" is already defined'
    world.cluster.answers = {Kind.INGRESS: DeniedError(message, status=403)}
    await world.reconcile()
    assert world.names(Kind.DEPLOYMENT) == ["digits"]
    assert judged(world) == (Truth.FALSE, "Forbidden")
    assert "already defined" in world.condition(EXPOSED).message


async def test_the_ingress_leads_to_the_pods_that_are_ready_while_tls_changes() -> None:
    world = await exposed(privacy={**WITHOUT_TLS, **CONTROLLER})
    old = a_pod("old", revision=world.template_hash, ready=True)
    world.roll_out(old)
    await world.reconcile()
    world.edit(privacy=CONTROLLER)
    await world.reconcile()
    assert backend(world) == "http"
    world.roll_out(old, a_pod("new", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert backend(world) == "https"


async def test_an_invalid_exposure_creates_no_ingress() -> None:
    """The API server rejects it, but an object that an older definition accepted still reaches the operator."""
    world = World()
    await world.reconcile()
    world.edit(exposure={"ingress": {"host": "*", "tls": {}}})
    await world.reconcile()
    assert world.names(Kind.INGRESS) == []
    assert world.condition(READY).reason == "InvalidSpec"


def backend(world: World) -> str:
    """The port of the Service to which HTTP requests lead."""
    (rule,) = world.manifest(Kind.INGRESS, "digits-http")["spec"]["rules"]
    (port,) = {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]}
    return str(port)
