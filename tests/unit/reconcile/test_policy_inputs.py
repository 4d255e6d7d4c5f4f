"""The ConfigMaps that callers and authorities are in: read on every pass, followed, and reported if they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import World
from tests.unit.resources.test_public_keys import a_certificate, ec_jwk, jwks
from triton_operator.api.conditions import ACCEPTED
from triton_operator.api.status import Truth
from triton_operator.cluster.errors import ClusterError, DeniedError, UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.next_pass import POLICY_INPUTS_INTERVAL
from triton_operator.triton.proxy_contract.policy import ProxyPolicy, decode

TLS = {"mode": "Secret", "secretRef": {"name": "certificate"}}
LOGIN = {
    "name": "login",
    "jwt": {"issuer": "https://login", "audiences": ["a"], "jwksConfigMapRef": {"name": "keys", "key": "jwks"}},
}
MESH = {"name": "mesh", "certificate": {"san": "mesh"}}
PRIVACY: dict[str, Any] = {
    "tls": TLS,
    "clients": [LOGIN, MESH],
    "clientCas": {"configMapRef": {"name": "keys", "key": "ca"}},
}
SECONDS = POLICY_INPUTS_INTERVAL.total_seconds()


def a_world() -> World:
    world = World(privacy=PRIVACY)
    world.cluster.config_maps["keys"] = {"jwks": jwks(ec_jwk(kid="first")), "ca": a_certificate()}
    return world


def policy_of(world: World) -> ProxyPolicy:
    return decode(world.manifest(Kind.CONFIG_MAP, "digits-proxy")["data"]["policy.json"].encode())


def kids(world: World) -> list[str]:
    return [key.kid for issuer in policy_of(world).issuers for key in issuer.keys]


async def settle(world: World) -> float | None:
    """Reconcile until a pass writes no child."""
    for _ in range(5):
        world.forget_writes()
        again = await world.reconcile()
        if not [write for write in world.cluster.writes if not write.startswith("status")]:
            return again
    raise AssertionError("it never settles")


async def test_the_policy_contains_what_the_config_maps_contain() -> None:
    world = a_world()
    await world.reconcile()
    assert kids(world) == ["first"]
    assert policy_of(world).client_cas == world.cluster.config_maps["keys"]["ca"]
    assert world.condition(ACCEPTED).status is Truth.TRUE


async def test_changed_keys_are_followed_without_a_change_of_the_object_or_the_pods() -> None:
    world = a_world()
    assert await settle(world) == SECONDS
    world.forget_writes()
    assert await world.reconcile() == SECONDS
    assert world.cluster.writes == []
    world.cluster.config_maps["keys"]["jwks"] = jwks(ec_jwk(kid="second"))
    await world.reconcile()
    assert world.cluster.writes == ["apply ConfigMap/digits-proxy"]
    assert kids(world) == ["second"]


async def test_without_such_callers_nothing_is_read_and_no_pass_is_scheduled() -> None:
    world = a_world()
    world.cluster.unreadable = DeniedError("no", status=403)
    world.edit(privacy={"tls": TLS, "clients": []})
    assert await settle(world) is None


@pytest.mark.parametrize(
    ("config_maps", "message"),
    [
        (
            {},
            "spec.privacy.clients[0].jwt.jwksConfigMapRef: ConfigMap keys does not exist or has no key jwks",
        ),
        (
            {"keys": {"jwks": "{"}},
            "spec.privacy.clients[0].jwt.jwksConfigMapRef: it is not a JSON Web Key Set: Input data was truncated",
        ),
        (
            {"keys": {"jwks": jwks(ec_jwk())}},
            "spec.privacy.clientCas.configMapRef: ConfigMap keys does not exist or has no key ca",
        ),
    ],
    ids=["missing", "not keys", "missing key"],
)
async def test_a_wrong_config_map_is_reported_and_the_last_policy_stays(
    config_maps: dict[str, dict[str, str]], message: str
) -> None:
    world = a_world()
    await settle(world)
    before = policy_of(world)
    world.cluster.config_maps = config_maps
    await world.reconcile()
    accepted = world.condition(ACCEPTED)
    assert (accepted.status, accepted.reason, accepted.message) == (Truth.FALSE, "InvalidSpec", message)
    assert policy_of(world) == before
    world.cluster.config_maps = a_world().cluster.config_maps
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.TRUE


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeniedError("no access", status=403), "Forbidden"),
        (UnavailableError("try later", status=503), "APIServerError"),
    ],
)
async def test_without_its_inputs_the_policy_stays_and_the_cause_is_reported(error: ClusterError, reason: str) -> None:
    """A policy without these keys would refuse callers that it admits now."""
    world = a_world()
    await settle(world)
    before = policy_of(world)
    world.cluster.unreadable = error
    world.edit(replicas=2)
    if isinstance(error, DeniedError):
        assert await world.reconcile() is not None
    else:
        with pytest.raises(UnavailableError):
            await world.reconcile()
    accepted = world.condition(ACCEPTED)
    assert (accepted.status, accepted.reason) == (Truth.FALSE, reason)
    assert accepted.message.startswith("the operator cannot read an object that spec.privacy names")
    assert policy_of(world) == before
    world.cluster.unreadable = None
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.TRUE
