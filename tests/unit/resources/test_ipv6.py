"""Where the containers of a pod listen, by the IP family of the cluster."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render
from triton_operator.resources.settings import Settings, in_cluster

IPV6 = msgspec.structs.replace(SETTINGS, ipv6=True)


def addresses_of(settings: Settings, **spec: Any) -> dict[str, str]:
    """The addresses on which Triton listens, by protocol."""
    (deployment,) = [each for each in render(a_deployment(**spec), settings) if each["kind"] == "Deployment"]
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    found = (argument.removeprefix("--").split("=", 1) for argument in arguments if "-address=" in argument)
    return {name.removesuffix("-address"): value for name, value in found}


@pytest.mark.parametrize(
    ("settings", "privacy", "addresses"),
    [
        (SETTINGS, WITHOUT_TLS, {"http": "0.0.0.0", "grpc": "0.0.0.0", "metrics": "0.0.0.0"}),
        (IPV6, WITHOUT_TLS, {"http": "ipv6:::", "grpc": "0.0.0.0", "metrics": "ipv6:::"}),
        (SETTINGS, {}, {"http": "127.0.0.1", "grpc": "127.0.0.1", "metrics": "0.0.0.0"}),
        (IPV6, {}, {"http": "127.0.0.1", "grpc": "127.0.0.1", "metrics": "ipv6:::"}),
    ],
    ids=["plain", "plain, IPv6", "TLS", "TLS, IPv6"],
)
def test_triton_listens_on_the_family_of_the_cluster(
    settings: Settings, privacy: dict[str, Any], addresses: dict[str, str]
) -> None:
    """With TLS, HTTP and gRPC are on loopback, and the proxy accepts both families."""
    assert addresses_of(settings, privacy=privacy) == addresses


def test_the_shown_defaults_are_the_rendered_ones() -> None:
    flags = {choice.field: choice.value for choice in applied_defaults(a_deployment(), IPV6)}
    assert flags["flag --metrics-address"] == "ipv6:::"


@given(st.ip_addresses())
def test_the_family_is_that_of_the_service_kubernetes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert in_cluster(SETTINGS, {"KUBERNETES_SERVICE_HOST": str(address)}).ipv6 is (address.version == 6)


def test_outside_a_cluster_the_settings_decide() -> None:
    assert in_cluster(SETTINGS, {}) == SETTINGS
    assert in_cluster(IPV6, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).ipv6
