"""Certificates and policies that change under constant load: no request fails, over any protocol."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.load import over_grpc, over_http, over_stream, under_load, wait_for_requests
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from triton_operator.api.spec import Endpoint
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

ROTATIONS = 8
REQUESTS = 5000
NOT_FOUND = 404
OPEN = "/v2/models/linear_regression/stats"


@pytest.fixture
def own(triton: Ports, authority: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of one test."""
    with running_proxy(tmp_path / "pod", triton, ProxyPolicy(), authority.issue()) as proxy:
        yield proxy


def test_no_request_fails_while_certificates_and_policies_rotate(own: Proxy, authority: Authority) -> None:
    client = Client(own.https, authority.pem)
    opened: tuple[Endpoint, ...] = ()
    with under_load(client, over_http, over_http, over_grpc, over_grpc, over_stream) as loads:
        for number in range(ROTATIONS):
            wait_for_requests(loads, REQUESTS * number // ROTATIONS)
            if number % 2:
                own.set_certificate(authority.issue(f"renewed {number}"))
            else:
                opened = () if opened else (Endpoint.STATISTICS,)
                own.set_policy(ProxyPolicy(open_endpoints=opened))
            own.wait_for("reloaded", number + 1)
        wait_for_requests(loads, REQUESTS)
    assert [load.failures for load in loads] == [[]] * len(loads)
    assert min(load.requests for load in loads) > REQUESTS // 20


def test_an_idle_connection_is_closed_with_its_next_response(own: Proxy, authority: Authority) -> None:
    """If a reload closed it, a client that is about to send a request would get an error."""
    client = Client(own.https, authority.pem)
    with closing(http.client.HTTPSConnection("localhost", own.https, timeout=10, context=client.context())) as idle:
        for changes in (0, 1):
            if changes:
                own.set_policy(ProxyPolicy(open_endpoints=(Endpoint.STATISTICS,)))
                own.wait_for("reloaded")
                wait_until(lambda: client.request("GET", OPEN).status != NOT_FOUND)
            idle.request("GET", "/v2/health/live")
            response = idle.getresponse()
            assert (response.status, response.read()) == (200, b"")
            assert response.will_close == bool(changes)
