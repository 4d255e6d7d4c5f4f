"""The cluster's public keys in the policy of a deployment with ServiceAccounts as callers."""

from __future__ import annotations

import pytest

from tests.fakes import World
from triton_operator.cluster.errors import UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.triton.proxy_contract.policy import Issuer, ProxyPolicy, PublicKey, decode

TLS = {"mode": "Secret", "secretRef": {"name": "certificate"}}
CALLER = {"name": "shop", "serviceAccount": {"name": "checkout"}}
FIRST = Issuer("https://kubernetes", (PublicKey("first", "RS256", "pem"),))
SECOND = Issuer("https://kubernetes", (PublicKey("second", "RS256", "pem"), *FIRST.keys))


def policy_of(world: World) -> ProxyPolicy:
    return decode(world.manifest(Kind.CONFIG_MAP, "digits-proxy")["data"]["policy.json"].encode())


async def test_changed_keys_change_the_policy_and_nothing_else() -> None:
    digits = World(privacy={"tls": TLS, "clients": [CALLER]})
    digits.cache.issuer.put(FIRST)
    await digits.reconcile()
    assert policy_of(digits).issuers == (FIRST,)
    assert digits.cache.issuer.needed.is_set()
    digits.forget_writes()
    await digits.reconcile()
    assert not digits.cluster.writes
    digits.cache.issuer.put(SECOND)
    await digits.reconcile()
    assert digits.cluster.writes == ["apply ConfigMap/digits-proxy"]
    assert policy_of(digits).issuers == (SECOND,)


async def test_unknown_keys_stop_only_deployments_that_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, because a policy without keys would refuse callers that it should admit."""
    monkeypatch.setattr("triton_operator.reconcile.policy_inputs.FIRST_READ", 0.01)
    digits = World(privacy={"tls": TLS, "clients": [CALLER]})
    with pytest.raises(UnavailableError):
        await digits.reconcile()
    assert digits.cluster.writes == ["status digits"]
    accepted = digits.condition("Accepted")
    assert accepted.reason == "APIServerError"
    assert "the cluster's public keys" in accepted.message
    digits.cache.issuer.put(FIRST)
    await digits.reconcile()
    assert policy_of(digits).issuers == (FIRST,)
    assert digits.condition("Accepted").status == "True"


@pytest.mark.parametrize("privacy", [{}, {"tls": TLS}, {"tls": TLS, "clients": []}])
async def test_other_deployments_need_no_keys(privacy: dict[str, object]) -> None:
    other = World(privacy=privacy)
    await other.reconcile()
    assert not other.cache.issuer.needed.is_set()
    assert other.condition("Accepted").status == "True"
