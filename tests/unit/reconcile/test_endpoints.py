"""The addresses in the status: the ports of the Service, and the load balancer's addresses when it has some."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import WITHOUT_TLS
from tests.fakes import World
from triton_operator.cluster.observed import Kind, ServiceState
from triton_operator.reconcile.endpoints import MAX_EXTERNAL

PORTS: dict[str, Any] = {"https": {"port": 443}, "http": {"port": 80, "name": "web"}, "grpc": {"port": 9000}}


async def world_with(*addresses: str, **spec: Any) -> World:
    """A deployment whose Service has these addresses of a load balancer."""
    world = World(**spec)
    await world.reconcile()
    if addresses:
        world.change_child(Kind.SERVICE, state=ServiceState(addresses=addresses))
        await world.reconcile()
    return world


async def test_the_numbers_are_those_of_the_service() -> None:
    endpoints = (await world_with(service={"ports": PORTS})).status.endpoints
    assert (endpoints.https, endpoints.http, endpoints.grpc) == ("https://digits.shop.svc:443", "", "")
    assert endpoints.metrics == "http://digits-headless.shop.svc:8002/metrics"
    plain = (await world_with(service={"ports": PORTS}, privacy=WITHOUT_TLS)).status.endpoints
    assert (plain.https, plain.http, plain.grpc) == ("", "http://digits.shop.svc:80", "digits.shop.svc:9000")


@pytest.mark.parametrize(
    ("address", "host"),
    [("203.0.113.7", "203.0.113.7"), ("2001:db8::7", "[2001:db8::7]"), ("lb.example.com", "lb.example.com")],
)
async def test_a_load_balancer_is_reported_when_it_has_an_address(address: str, host: str) -> None:
    """The next pass writes the status and nothing else, because no child differs."""
    service = {"type": "LoadBalancer", "ports": PORTS}
    world = await world_with(service=service)
    assert not world.status.endpoints.external
    world.forget_writes()
    world.change_child(Kind.SERVICE, state=ServiceState(addresses=(address,)))
    await world.reconcile()
    assert world.status.endpoints.external == (f"https://{host}:443",)
    assert world.cluster.writes == ["status digits"]


async def test_without_tls_both_protocols_are_reported() -> None:
    world = await world_with("203.0.113.7", service={"type": "LoadBalancer"}, privacy=WITHOUT_TLS)
    assert world.status.endpoints.external == ("http://203.0.113.7:8000", "grpc://203.0.113.7:8001")


async def test_an_address_of_a_service_of_another_type_is_not_reported() -> None:
    """The controller of the load balancer may remove it later."""
    world = await world_with("203.0.113.7", service={"type": "LoadBalancer"})
    assert world.status.endpoints.external
    world.edit(service={"type": "ClusterIP"})
    await world.reconcile()
    assert not world.status.endpoints.external


async def test_the_status_stays_within_the_bounds_of_the_definition() -> None:
    """Otherwise the API server would reject the whole status."""
    addresses = [f"203.0.113.{number}" for number in range(100)]
    world = await world_with(*addresses, service={"type": "LoadBalancer"})
    assert len(world.status.endpoints.external) == MAX_EXTERNAL
