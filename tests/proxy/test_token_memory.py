"""A remembered token opens nothing that a verified one would not open, and a forged one does not disturb others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection

import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    TokenRule,
)

SIGNER = Signer("RS256", "key-1")
CLIENTS = Authority("clients")


def by_token(name: str, *models: str, rate: int = 0) -> Caller:
    """A caller whose tokens have its name as their subject."""
    rule = TokenRule("issuer", (AUDIENCE,), (Claim("sub", name),))
    return Caller(name, token=rule, models=models, requests_per_second=rate)


TRAINER = Caller("trainer", certificate=CertificateRule(subject="CN=trainer"))
ROBOT, LINEAR = by_token("robot"), by_token("linear", "linear_regression")
SLOW = by_token("slow", rate=3)


def policy(*callers: Caller, revoked: tuple[str, ...] = ()) -> ProxyPolicy:
    issuers = (Issuer("issuer", (SIGNER.public(),), revoked),)
    return ProxyPolicy(callers=callers, issuers=issuers, client_cas=CLIENTS.pem.decode())


EVERYBODY = policy(TRAINER, ROBOT, LINEAR, SLOW)


@pytest.fixture
def proxy(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that remembers nothing yet."""
    folder = tmp_path_factory.mktemp("proxy")
    with running_proxy(folder / "pod", triton, EVERYBODY, authority.issue()) as proxy:
        yield proxy


def admitted(proxy: Proxy, authority: Authority, token: str) -> Client:
    """A client whose token the proxy has admitted twice."""
    client = Client(proxy.https, authority.pem, token=token)
    assert [client.infer().status for _ in range(2)] == [200, 200]
    return client


def test_forged_tokens_do_not_disturb_other_callers(proxy: Proxy, authority: Authority) -> None:
    """HAProxy 2.6 closes a connection of the thread on which an RSA signature was wrong."""
    client = Client(proxy.https, authority.pem, token=SIGNER.token())
    header, claims, signature = client.token.split(".")
    forger = Client(proxy.https, authority.pem, token=f"{header}.{claims}.{'A' * len(signature)}")
    with closing(HTTPSConnection("localhost", proxy.https, timeout=30, context=client.context())) as connection:
        for _ in range(50):
            assert forger.request("GET", "/v2/health/live").status == 401
            assert status_over(connection, client.token) == 200


def test_a_new_token_on_an_old_connection_is_verified_after_the_policy_has_changed(
    proxy: Proxy, authority: Authority
) -> None:
    """The worker that has the connection is ending, and has closed its own frontend for tokens."""
    client = Client(proxy.https, authority.pem, token=SIGNER.token())
    for count in range(4):
        old = [HTTPSConnection("localhost", proxy.https, timeout=30, context=client.context()) for _ in range(2)]
        with closing(old[0]), closing(old[1]):
            assert [status_over(connection, client.token) for connection in old] == [200, 200]
            proxy.set_policy(policy(ROBOT, TRAINER, revoked=(f"lost-{count}",)))
            lost = Client(proxy.https, authority.pem, token=SIGNER.token(jti=f"lost-{count}"))
            wait_until(lambda lost=lost: lost.infer().status == 401)  # type: ignore[misc]
            assert status_over(old[0], SIGNER.token(jti=f"new-{count}")) == 200
            assert status_over(old[1], SIGNER.token(jti=f"lost-{count}", nbf=None)) == 401


def status_over(connection: HTTPSConnection, token: str) -> int:
    """The status of a request on an open connection."""
    connection.request("GET", "/v2/health/live", headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    response.read()
    return response.status


def test_a_remembered_token_is_refused_when_it_has_expired(proxy: Proxy, authority: Authority) -> None:
    expires = int(time.time()) + 3
    client = admitted(proxy, authority, SIGNER.token(exp=expires))
    wait_until(lambda: client.infer().status == 401)
    assert time.time() >= expires


@pytest.mark.parametrize("expires", [2**31 + 10, 2**32 + 10])
def test_a_token_that_is_valid_for_a_very_long_time_is_admitted_each_time(
    proxy: Proxy, authority: Authority, expires: int
) -> None:
    """The table stores 32 bits."""
    admitted(proxy, authority, SIGNER.token(exp=expires))


def test_another_token_with_parts_of_a_remembered_one_is_refused(proxy: Proxy, authority: Authority) -> None:
    token = SIGNER.token()
    admitted(proxy, authority, token)
    header, claims, signature = token.split(".")
    other = SIGNER.token(sub="linear").split(".")
    for forged in (
        f"{header}.{claims}.{'A' * len(signature)}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}.{claims}.{signature}x",
        f"{header}.{claims}.{signature}.{signature}",
        f"{header}.{other[1]}.{signature}",
        f"{header}.{claims}.{other[2]}",
        token[:-4] + token[-4:].swapcase(),
    ):
        assert Client(proxy.https, authority.pem, token=forged).infer().status == 401, forged


def test_a_remembered_caller_reaches_only_its_models(proxy: Proxy, authority: Authority) -> None:
    client = admitted(proxy, authority, SIGNER.token(sub="linear"))
    assert client.infer("digits").status == 403
    assert client.infer("linear_regression").status == 200


def test_the_rate_of_a_remembered_caller_is_limited(proxy: Proxy, authority: Authority) -> None:
    client = Client(proxy.https, authority.pem, token=SIGNER.token(sub="slow"))
    statuses = [client.request("GET", "/v2/health/live").status for _ in range(12)]
    assert (statuses[0], set(statuses)) == (200, {200, 429})


def test_a_token_that_is_revoked_after_it_was_remembered_is_refused(proxy: Proxy, authority: Authority) -> None:
    """Another token of the same caller is still admitted."""
    client = admitted(proxy, authority, SIGNER.token(jti="lost"))
    proxy.set_policy(policy(TRAINER, ROBOT, revoked=("lost",)))
    wait_until(lambda: client.infer().status == 401)
    admitted(proxy, authority, SIGNER.token(jti="kept"))


def test_a_caller_that_is_removed_after_its_token_was_remembered_is_refused(proxy: Proxy, authority: Authority) -> None:
    client = admitted(proxy, authority, SIGNER.token())
    proxy.set_policy(policy(TRAINER, LINEAR))
    wait_until(lambda: client.infer().status == 403)


def test_a_remembered_token_stays_that_of_its_caller_when_the_order_of_callers_changes(
    proxy: Proxy, authority: Authority
) -> None:
    """The table contains the number of a caller."""
    client = admitted(proxy, authority, SIGNER.token(sub="linear"))
    proxy.set_policy(policy(SLOW, LINEAR, ROBOT, TRAINER))
    proxy.wait_for("reloaded")
    assert [client.infer(model).status for model in ("digits", "linear_regression")] == [403, 200]


def test_a_certificate_decides_as_if_nothing_were_remembered(proxy: Proxy, authority: Authority) -> None:
    """The first caller in the policy that matches is the one with the certificate, which may use all models."""
    token = SIGNER.token(sub="linear")
    admitted(proxy, authority, token)
    both = Client(proxy.https, authority.pem, token=token, pair=CLIENTS.issue("trainer", []))
    assert [both.request("GET", "/v2/models/digits").status for _ in range(2)] == [200, 200]
    alone = Client(proxy.https, authority.pem, token=token)
    assert alone.request("GET", "/v2/models/digits").status == 403
