"""The cluster's public keys in the policy of a deployment with ServiceAccounts as callers."""

from __future__ import annotations

import pytest

from tests.fakes import World
from triton_operator.cluster.errors import DeniedError, UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.next_pass import POLICY_INPUTS_INTERVAL
from triton_operator.triton.proxy_contract.policy import Claim, Issuer, ProxyPolicy, PublicKey, decode

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


def claims_of(world: World) -> tuple[Claim, ...]:
    """The claims that the only caller's tokens must contain."""
    (caller,) = policy_of(world).callers or ()
    assert caller.token
    return caller.token.claims


def uid_claim(uid: str) -> Claim:
    return Claim(r"kubernetes\.io.serviceaccount.uid", uid)


async def test_tokens_of_a_deleted_or_replaced_service_account_are_not_admitted() -> None:
    """A token remains valid by its signature until it expires, whatever happens to its ServiceAccount."""
    digits = World(privacy={"tls": TLS, "clients": [CALLER]})
    digits.cache.issuer.put(FIRST)
    account = (digits.key[0], "checkout")
    for uid in ("first", None, "second"):
        digits.cluster.accounts = {account: uid} if uid else {}
        assert await digits.reconcile() == POLICY_INPUTS_INTERVAL.total_seconds()
        assert claims_of(digits)[1:] == (uid_claim(uid or "absent"),)


async def test_a_service_account_that_may_not_be_read_is_admitted_by_its_name() -> None:
    """An operator of one namespace cannot read the ServiceAccounts of others."""
    digits = World(privacy={"tls": TLS, "clients": [CALLER]})
    digits.cache.issuer.put(FIRST)
    digits.cluster.hidden_accounts = DeniedError("no access", status=403)
    await digits.reconcile()
    assert claims_of(digits) == (Claim("sub", f"system:serviceaccount:{digits.key[0]}:checkout"),)
    assert digits.condition("Accepted").status == "True"
