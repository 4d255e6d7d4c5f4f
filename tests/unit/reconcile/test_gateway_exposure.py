"""The condition Exposed for routes of the Gateway API, whose controllers the tests play."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.builders import WITHOUT_TLS
from tests.fakes import World
from triton_operator.api.conditions import EXPOSED, PRIVACY_ENFORCED
from triton_operator.api.status import Truth
from triton_operator.cluster.errors import NotFoundError
from triton_operator.cluster.observed import Kind, ObservedCondition

HOST = "digits.example.com"
GATEWAY: dict[str, Any] = {"gateway": {"parentRefs": [{"name": "web", "namespace": "infra"}], "hostnames": [HOST]}}
PEERS = {"network": {"allowFrom": [{"namespaceSelector": {"matchLabels": {"name": "infra"}}}]}}
ROUTES = (Kind.HTTP_ROUTE, Kind.GRPC_ROUTE)
ALL = (*ROUTES, Kind.BACKEND_TLS_POLICY)
ACCEPTED = ObservedCondition(type="Accepted", status="True", reason="Accepted")
RESOLVED = ObservedCondition(type="ResolvedRefs", status="True", reason="ResolvedRefs")


async def exposed(**spec: Any) -> World:
    world = World(**{"exposure": GATEWAY, "privacy": PEERS, **spec})
    await world.reconcile()
    return world


async def accepted(world: World, *kinds: Kind, namespace: str = "infra") -> World:
    for kind in kinds:
        world.report_route(kind, namespace, "web", ACCEPTED, RESOLVED)
    await world.reconcile()
    return world


def judged(world: World) -> tuple[Truth, str]:
    condition = world.condition(EXPOSED)
    return condition.status, condition.reason


async def test_routes_that_nobody_reports_on_are_named() -> None:
    world = await exposed()
    assert judged(world) == (Truth.FALSE, "RoutePending")
    for kind in ALL:
        assert f"{kind} digits for Gateway infra/web" in world.condition(EXPOSED).message


async def test_both_protocols_and_the_policy_have_to_be_accepted() -> None:
    """A gateway that ignores the policy would connect to the pods without TLS."""
    world = await accepted(await exposed(), *ROUTES)
    assert judged(world) == (Truth.FALSE, "RoutePending")
    assert "BackendTLSPolicy" in world.condition(EXPOSED).message
    assert "HTTPRoute" not in world.condition(EXPOSED).message
    world.forget_writes()
    await accepted(world, Kind.BACKEND_TLS_POLICY)
    assert judged(world) == (Truth.TRUE, "Exposed")
    assert world.condition(EXPOSED).message == f"Gateway infra/web accepts HTTP and gRPC for {HOST}"
    assert set(world.cluster.writes) == {"status digits"}


async def test_without_tls_no_policy_is_needed() -> None:
    world = await accepted(await exposed(privacy={**WITHOUT_TLS, **PEERS}), *ROUTES)
    assert world.names(Kind.BACKEND_TLS_POLICY) == []
    assert judged(world) == (Truth.TRUE, "Exposed")


async def test_a_report_for_another_gateway_does_not_count() -> None:
    world = await accepted(await exposed(), *ALL, namespace="other")
    assert judged(world) == (Truth.FALSE, "RoutePending")


async def test_the_controllers_own_words_are_reported() -> None:
    world = await accepted(await exposed(), *ALL)
    unresolved = ObservedCondition(type="ResolvedRefs", status="False", reason="BackendNotFound", message="no Service")
    world.report_route(Kind.GRPC_ROUTE, "infra", "web", ACCEPTED, unresolved)
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "RouteNotAccepted")
    message = "Gateway infra/web does not accept GRPCRoute digits: BackendNotFound: no Service"
    assert world.condition(EXPOSED).message == message


async def test_without_the_gateway_api_the_deployment_serves_and_nothing_is_written() -> None:
    world = World(exposure=GATEWAY, privacy=PEERS)
    world.cache.unavailable |= dict.fromkeys(ALL, HTTPStatus.NOT_FOUND)
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "GatewayAPINotInstalled")
    assert "HTTPRoutes, GRPCRoutes, BackendTLSPolicies" in world.condition(EXPOSED).message
    assert world.condition("Accepted").status is Truth.TRUE
    assert world.names(Kind.DEPLOYMENT) == ["digits"]
    assert not any("Route" in write for write in world.cluster.writes)
    world.cache.unavailable.clear()
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "RoutePending")
    assert world.names(Kind.HTTP_ROUTE) == world.names(Kind.GRPC_ROUTE) == ["digits"]


async def test_a_definition_deleted_at_the_moment_of_a_write_is_reported() -> None:
    world = World(exposure=GATEWAY, privacy=PEERS)
    missing = NotFoundError("the server could not find the requested resource", status=404)
    world.cluster.answers = dict.fromkeys(ALL, missing)
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "GatewayAPINotInstalled")
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_another_way_of_exposure_replaces_the_routes() -> None:
    world = await exposed()
    world.edit(exposure={"ingress": {"host": HOST, "tls": {}}})
    await world.reconcile()
    assert world.names(Kind.INGRESS) == ["digits-grpc", "digits-http"]
    assert [world.names(kind) for kind in ALL] == [[], [], []]


async def test_a_host_belongs_to_the_route_that_had_it_first() -> None:
    """An Ingress and a route compete for the same name."""
    world = World(exposure=GATEWAY, privacy=PEERS)
    world.expose_elsewhere({"ingress": {"host": HOST, "tls": {}}}, "2026-01-01T00:00:00Z")
    await world.reconcile()
    assert judged(world) == (Truth.FALSE, "HostInUse")
    assert world.names(Kind.HTTP_ROUTE) == []


async def test_the_privacy_of_a_listener_cannot_be_verified() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    world = await exposed(privacy={**PEERS, "clients": [{"name": "shop", "token": {"publicKeys": [pem]}}]})
    assert world.status.privacy
    (control,) = (each for each in world.status.privacy.controls if each.name == "Exposure")
    assert (control.state, control.required) == ("Unknown", True)
    assert "cannot verify that the listeners of the Gateway use TLS" in control.message
    assert world.condition(PRIVACY_ENFORCED).status is Truth.UNKNOWN
