"""Policies that cannot be enforced are rejected by field, and no text of users becomes part of the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.proxy.errors import ProxyError
from triton_operator.proxy.haproxy_config import render
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.policy_check import CLAIM_NAME, check_policy
from triton_operator.proxy.token_verifier import encoded
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    PublicKey,
    TokenRule,
)

PLACEMENT = Placement(folder=Path("/run/x"))
KEY = PublicKey("key-1", "ES256", "PEM")
RULE = TokenRule("https://issuer.example", ("audience",), (Claim("sub", "robot"),))
CALLER = Caller("robot", token=RULE, models=("digits",), requests_per_second=5)
POLICY = ProxyPolicy(callers=(CALLER,), issuers=(Issuer("https://issuer.example", (KEY,), ("revoked",)),))

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
HOSTILE = st.sampled_from(
    [
        "a\n    http-request allow",
        "a b",
        "a' b",
        'a" b',
        "a,hex",
        "a)",
        "#a",
        "$HOME",
        "\\",
        "%[src]",
        "{ always_true }",
        "é",
    ]
)
NAMES = st.sampled_from(["robot", "a.b", "shop/a@b-c_d"])
TEXT = st.one_of(ASCII, ASCII, ASCII, HOSTILE)
NAME = st.one_of(NAMES, NAMES, NAMES, ASCII, HOSTILE)


@dataclass
class Case:
    """A change of POLICY and a part of the error."""

    change: dict[str, object]
    problem: str


def caller(**changes: object) -> dict[str, object]:
    return {"callers": (msgspec.structs.replace(CALLER, **changes),)}


def rule(**changes: object) -> dict[str, object]:
    return caller(token=msgspec.structs.replace(RULE, **changes))


def test_a_complete_policy_is_accepted() -> None:
    check_policy(POLICY)


@pytest.mark.parametrize(
    "case",
    [
        Case({"callers": (CALLER, CALLER)}, "callers: 'robot' exists twice"),
        Case({"issuers": POLICY.issuers * 2}, "exists twice"),
        Case(caller(name="a b"), "use letters, digits and . _ @ / - in a name"),
        Case(caller(name=""), "in a name"),
        Case(caller(models=("a b",)), 'model "a b" use letters'),
        Case(caller(token=None), "expected either `token` or `certificate`"),
        Case(caller(certificate=CertificateRule(subject="CN=a")), "expected either `token` or `certificate`"),
        Case(caller(token=None, certificate=CertificateRule()), "expected either `subject` or `san`"),
        Case(caller(token=None, certificate=CertificateRule(san="a")), "needs the authorities"),
        Case(rule(issuer="other"), "unknown issuer 'other'"),
        Case(rule(audiences=()), "a token needs an audience"),
        Case(rule(audiences=("",)), "is not printable ASCII"),
        Case(rule(audiences=("é",)), "is not printable ASCII"),
        Case(rule(claims=(Claim("a'", "b"),)), "in a claim"),
        Case(rule(claims=(Claim("a[0]", "b"),)), "in a claim"),
        Case(rule(claims=(Claim("a", "b\n"),)), "is not printable ASCII"),
        Case({"issuers": (Issuer("https://issuer.example", (PublicKey("k", "HS256", ""),)),)}, "unsupported algorithm"),
        Case({"issuers": (Issuer("https://issuer.example", (PublicKey("k", "none", ""),)),)}, "unsupported algorithm"),
        Case({"issuers": (Issuer("https://issuer.example", (KEY,), ("a\nb",)),)}, "is not printable ASCII"),
    ],
    ids=lambda case: case.problem,
)
def test_a_policy_that_cannot_be_enforced_is_rejected(case: Case) -> None:
    with pytest.raises(ProxyError, match=re.escape(case.problem)):
        check_policy(msgspec.structs.replace(POLICY, **case.change))


@pytest.mark.parametrize("name", ["sub", r"kubernetes\.io.serviceaccount.uid", "https://example.com/claim", "a-b_c@d"])
def test_usual_names_of_claims_are_accepted(name: str) -> None:
    assert re.fullmatch(CLAIM_NAME, name)


def without_comments(text: str) -> str:
    return re.sub(r"^# (admits|key|revokes) ([0-9a-f]{32}|[0-9A-F]+:[0-9A-F]+)$\n", "", text, flags=re.MULTILINE)


@given(NAME, TEXT, TEXT, NAME, TEXT, TEXT, TEXT)
def test_no_text_changes_the_rules(
    name: str, issuer: str, audience: str, claim: str, value: str, kid: str, revoked: str
) -> None:
    """Each accepted policy has the lines of another one, with other names and digits in the same places."""
    policy = ProxyPolicy(
        callers=(Caller(name, token=TokenRule(issuer, (audience,), (Claim(claim, value),))),),
        issuers=(Issuer(issuer, (PublicKey(kid or "k", "ES256", "PEM"),), (revoked,)),),
    )
    plain = ProxyPolicy(
        callers=(Caller("N", token=TokenRule("i", ("a",), (Claim("C", "v"),))),),
        issuers=(Issuer("i", (PublicKey("k", "ES256", "PEM"),), ("r",)),),
    )
    try:
        text = without_comments(render(policy, PLACEMENT).text)
    except ProxyError:
        return
    expected = without_comments(render(plain, PLACEMENT).text)
    for old, new in (
        ("str(N)", f"str({name})"),
        ("token_caller) -m str N ", f"token_caller) -m str {name} "),
        ("'$.C'", f"'$.{claim}'".replace("\\", "\\\\")),
    ):
        expected = expected.replace(old, new)
    texts = {"iss) -m str 69": issuer, "-m str 61": audience, "-m str 76": value, "-m str 6B": kid or "k"}
    # All at once, because a text may be equal to another one of the plain policy.
    pattern = "|".join(map(re.escape, texts))
    expected = re.sub(rf"({pattern})(?=[\n ])", lambda found: found[0][:-2] + encoded(texts[found[0]]), expected)
    assert text == expected
    assert "\n".join(line for line in text.splitlines() if not line.isprintable()) == ""
