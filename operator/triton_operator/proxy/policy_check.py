"""Check what the types of a policy cannot express, before anything of it becomes part of HAProxy's configuration.

Input: a ProxyPolicy. Output: nothing, or ProxyError with the field and the problem. The patterns of names exclude every
character that has a meaning in HAProxy's syntax; other text is printable ASCII, written as hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from triton_operator.api import names
from triton_operator.proxy.errors import ProxyError
from triton_operator.triton.proxy_contract.policy import Caller, CertificateRule, Issuer, ProxyPolicy, TokenRule

ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512")
"""Algorithms of tokens: asymmetric ones that HAProxy 2.6 verifies."""

CALLER_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._@/-]{0,251}[A-Za-z0-9])?"
CLAIM_NAME = r"(?:[A-Za-z0-9_:/@-]|\\?\.){1,253}"
"""A JSON path without `$.`: a dot separates two levels, `\\.` is a dot in a name."""

_LONGEST = 1024


def check_policy(policy: ProxyPolicy) -> None:
    """Raise ProxyError if the policy cannot be enforced as it is."""
    issuers = [issuer.name for issuer in policy.issuers]
    _unique("issuers", issuers)
    for issuer in policy.issuers:
        _check_issuer(issuer)
    callers = policy.callers or ()
    _unique("callers", [caller.name for caller in callers])
    for caller in callers:
        _check_caller(caller, issuers, has_authorities=bool(policy.client_cas))


def _check_issuer(issuer: Issuer) -> None:
    _printable("issuers", issuer.name, required=True)
    for key in issuer.keys:
        where = f'issuers, key "{key.kid}" of {issuer.name}'
        _printable(where, key.kid)
        if key.algorithm not in ALGORITHMS:
            raise ProxyError(f"{where}: unsupported algorithm {key.algorithm!r}; use one of {', '.join(ALGORITHMS)}")
    for revoked in issuer.revoked:
        _printable(f"issuers, revoked tokens of {issuer.name}", revoked, required=True)


def _check_caller(caller: Caller, issuers: Iterable[str], *, has_authorities: bool) -> None:
    where = f'callers, "{caller.name}"'
    if not re.fullmatch(CALLER_NAME, caller.name):
        raise ProxyError(f"{where}: use letters, digits and . _ @ / - in a name")
    for model in caller.models:
        if problem := names.wrong_model_name(model):
            raise ProxyError(f'{where}: model "{model}" {problem}')
    if (caller.token is None) == (caller.certificate is None):
        raise ProxyError(f"{where}: expected either `token` or `certificate`")
    if caller.token:
        _check_token(where, caller.token, issuers)
    if caller.certificate:
        _check_certificate(where, caller.certificate, has_authorities=has_authorities)


def _check_token(where: str, rule: TokenRule, issuers: Iterable[str]) -> None:
    if rule.issuer not in issuers:
        raise ProxyError(f"{where}: unknown issuer {rule.issuer!r}")
    if not rule.audiences:
        raise ProxyError(f"{where}: a token needs an audience")
    for text in (*rule.audiences, *(claim.value for claim in rule.claims)):
        _printable(where, text, required=True)
    for claim in rule.claims:
        if not re.fullmatch(CLAIM_NAME, claim.name):
            raise ProxyError(f"{where}: claim {claim.name!r}: use letters, digits and _ : / @ - . in a claim")


def _check_certificate(where: str, rule: CertificateRule, *, has_authorities: bool) -> None:
    if bool(rule.subject) == bool(rule.san):
        raise ProxyError(f"{where}: expected either `subject` or `san`")
    if not has_authorities:
        raise ProxyError(f"{where}: a certificate needs the authorities that issue it: `client_cas`")
    _printable(where, rule.subject or rule.san)


def _printable(where: str, text: str, *, required: bool = False) -> None:
    """Raise ProxyError unless the text is printable ASCII, which has only one encoding."""
    if not text.isascii() or (text and not text.isprintable()) or len(text) > _LONGEST or (required and not text):
        raise ProxyError(f"{where}: {text[:60]!r} is not printable ASCII of at most {_LONGEST} characters")


def _unique(where: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ProxyError(f"{where}: {value!r} exists twice")
