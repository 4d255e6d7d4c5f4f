"""The hashes that an old worker compares: each restriction of a policy removes one, and nothing else changes them."""

from __future__ import annotations

import msgspec
import pytest

from triton_operator.proxy.admissions import admission_comments, admission_table
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    PublicKey,
    TokenRule,
)

ROBOT = Caller("robot", token=TokenRule("issuer", ("a",), (Claim("sub", "x"),)), models=("digits", "texts"))
TRAINER = Caller("trainer", certificate=CertificateRule(subject="CN=trainer"))
KEY = PublicKey("k", "ES256", "PEM")
POLICY = ProxyPolicy(callers=(ROBOT, TRAINER), issuers=(Issuer("issuer", (KEY,)),), client_cas="PEM")


def replaced(caller: Caller, **change: object) -> ProxyPolicy:
    callers = tuple(msgspec.structs.replace(each, **change) if each is caller else each for each in (ROBOT, TRAINER))
    return msgspec.structs.replace(POLICY, callers=callers)


@pytest.mark.parametrize(
    "after",
    [
        msgspec.structs.replace(POLICY, callers=(ROBOT,)),
        msgspec.structs.replace(POLICY, issuers=(Issuer("issuer", (PublicKey("k", "ES256", "OTHER"),)),)),
        msgspec.structs.replace(POLICY, client_cas="OTHER"),
        replaced(ROBOT, models=("digits",)),
        replaced(ROBOT, token=TokenRule("issuer", ("b",), (Claim("sub", "x"),))),
        replaced(TRAINER, certificate=CertificateRule(subject="CN=other")),
    ],
    ids=["caller", "key", "authorities", "models", "audience", "subject"],
)
def test_a_restriction_removes_a_line(after: ProxyPolicy) -> None:
    assert len(set(admission_comments(POLICY)) - set(admission_comments(after))) == 1


@pytest.mark.parametrize(
    "after",
    [
        msgspec.structs.replace(POLICY, callers=(TRAINER, ROBOT, Caller("new", certificate=CertificateRule(san="x")))),
        msgspec.structs.replace(
            POLICY, issuers=(Issuer("new", ()), Issuer("issuer", (PublicKey("l", "ES256", "P"), KEY)))
        ),
        replaced(ROBOT, requests_per_second=5),
    ],
    ids=["caller", "key", "rate"],
)
def test_an_addition_removes_no_line(after: ProxyPolicy) -> None:
    assert set(admission_comments(POLICY)) <= set(admission_comments(after))


def test_a_revocation_adds_a_line() -> None:
    after = msgspec.structs.replace(POLICY, issuers=(Issuer("issuer", (KEY,), ("id",)),))
    (line,) = set(admission_comments(after)) - set(admission_comments(POLICY))
    assert line == "# revokes 697373756572:6964"


def test_the_table_names_the_comment_of_an_open_policy() -> None:
    assert admission_comments(ProxyPolicy()) == ["# admits all clients"]
    assert 'all_clients = "all clients",' in admission_table(POLICY, "/run/haproxy.cfg")


def test_the_table_has_the_hashes_of_the_comments() -> None:
    table = admission_table(POLICY, "/run/haproxy.cfg")
    for line in admission_comments(POLICY):
        assert line.split()[2] in table
    assert '["697373756572:6B"] = {' in table
