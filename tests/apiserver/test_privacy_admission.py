"""What a real API server accepts and refuses in `spec.privacy.tls` and `spec.privacy.clients`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, NOTHING, changed, create, deployment

PRIVACY: dict[str, Any] = {
    "tls": {"mode": "Managed"},
    "clients": [
        {"name": "shop", "serviceAccount": {"name": "checkout", "namespace": "shop"}, "models": ["digits"]},
        {
            "name": "login",
            "jwt": {
                "issuer": "https://login.example.com",
                "audiences": ["digits"],
                "jwksConfigMapRef": {"name": "login", "key": "jwks.json"},
                "claims": {"azp": "checkout", "resource.role": "reader"},
            },
            "requestsPerSecond": 200,
        },
        {"name": "mesh", "certificate": {"san": "spiffe://cluster.local/ns/shop/sa/checkout"}},
        {"name": "partner", "token": {"publicKeys": ["-----BEGIN PUBLIC KEY-----"], "revoked": ["0a1b"]}},
    ],
    "clientCas": {"configMapRef": {"name": "company-ca", "key": "ca.crt"}},
    "audit": "Refused",
}
GOOD: dict[str, Any] = {**MINIMAL, "privacy": PRIVACY, "service": {"hostnames": ["digits.example.com"]}}
ISSUER: dict[str, Any] = {"issuerRef": {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}}
TOKEN = {"publicKeys": ["key"]}
PROXY = "must not be set unless spec.privacy.tls.mode is Managed, Secret or CertManager, because the proxy that"
NO_CERTIFICATE = "has no effect, because no caller has a certificate; remove it"
ONE_METHOD = "exactly one of serviceAccount, jwt, certificate and token must be set"

# What somebody wrote in `spec.privacy`, where, the field that the server names, and the message.
BAD: dict[str, tuple[str, Any, str, str]] = {
    "unknown mode": ("tls.mode", "Off", "tls.mode", "Unsupported value"),
    "Secret without its name": ("tls", {"mode": "Secret"}, "tls.secretRef", "is required with the mode Secret"),
    "Secret with another mode": (
        "tls.secretRef",
        {"name": "certificate"},
        "tls.secretRef",
        "must not be set unless the mode is Secret",
    ),
    "Secret without a mode": (
        "tls",
        {"secretRef": {"name": "certificate"}},
        "tls.secretRef",
        "must not be set unless the mode is Secret",
    ),
    "cert-manager without an issuer": (
        "tls",
        {"mode": "CertManager"},
        "tls.certManager",
        "is required with the mode CertManager",
    ),
    "issuer with another mode": (
        "tls.certManager",
        ISSUER,
        "tls.certManager",
        "must not be set unless the mode is CertManager",
    ),
    "unknown kind of issuer": (
        "tls",
        {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company", "kind": "Isuer"}}},
        "tls.certManager.issuerRef.kind",
        "must be Issuer or ClusterIssuer, or spec.privacy.tls.certManager.issuerRef.group must be set",
    ),
    "issuer without a name": (
        "tls",
        {"mode": "CertManager", "certManager": {"issuerRef": {"kind": "Issuer"}}},
        "tls.certManager.issuerRef.name",
        "Required value",
    ),
    "two callers of one name": (
        "clients",
        [{"name": "mesh", "certificate": {"san": "a"}}, {"name": "mesh", "certificate": {"san": "b"}}],
        "clients[1]",
        "Duplicate value",
    ),
    "caller without a name": ("clients.0.name", NOTHING, "clients[0].name", "Required value"),
    "caller without a method": ("clients.0.serviceAccount", NOTHING, "clients[0]", ONE_METHOD),
    "caller with two methods": ("clients.0.token", TOKEN, "clients[0]", ONE_METHOD),
    "51 callers": (
        "clients",
        [{"name": f"caller-{number}", "certificate": {"san": "a"}} for number in range(51)],
        "clients",
        "at most 50 items",
    ),
    "keys twice": (
        "clients.1.jwt.jwks",
        "{}",
        "clients[1].jwt",
        "exactly one of jwks and jwksConfigMapRef must be set",
    ),
    "no keys": (
        "clients.1.jwt.jwksConfigMapRef",
        NOTHING,
        "clients[1].jwt",
        "exactly one of jwks and jwksConfigMapRef must be set",
    ),
    "no audience": ("clients.1.jwt.audiences", [], "clients[1].jwt.audiences", "at least 1 items"),
    "audience twice": ("clients.1.jwt.audiences", ["a", "a"], "clients[1].jwt.audiences[1]", "Duplicate value"),
    "issuer with a space": ("clients.1.jwt.issuer", "my login", "clients[1].jwt.issuer", "match"),
    "claim with a quotation mark": (
        "clients.1.jwt.claims",
        {'a"b': "c"},
        "clients[1].jwt.claims",
        "must have names of claims, with dots between at most four levels",
    ),
    "subject and name": (
        "clients.2.certificate.subject",
        "CN=checkout",
        "clients[2].certificate",
        "exactly one of subject and san must be set",
    ),
    "certificate of anybody": (
        "clients.2.certificate",
        {},
        "clients[2].certificate",
        "exactly one of subject and san must be set",
    ),
    "subject with a line break": (
        "clients.2.certificate",
        {"subject": "CN=a\nCN=b"},
        "clients[2].certificate.subject",
        "match",
    ),
    "certificates without authorities": (
        "clientCas",
        NOTHING,
        "clientCas",
        "is required, because a caller has a certificate",
    ),
    "authorities without certificates": ("clients", [{"name": "shop", "token": TOKEN}], "clientCas", NO_CERTIFICATE),
    "authorities without callers": ("clients", NOTHING, "clientCas", NO_CERTIFICATE),
    "no public key": ("clients.3.token.publicKeys", [], "clients[3].token.publicKeys", "at least 1 items"),
    "revoked ID with a space": ("clients.3.token.revoked", ["a b"], "clients[3].token.revoked[0]", "match"),
    "no request per second": ("clients.1.requestsPerSecond", 0, "clients[1].requestsPerSecond", "equal to 1"),
    "caller of another model": (
        "clients.0.models",
        ["digits", "other"],
        "clients",
        "must not contain a caller with a model that spec.models does not contain",
    ),
    "model twice": ("clients.0.models", ["digits", "digits"], "clients[0].models[1]", "Duplicate value"),
    "unknown audit": ("audit", "Disabled", "audit", "Unsupported value"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_privacy_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    """Each mistake is named where it was made, with the whole message of its rule."""
    place, value, field, words = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(GOOD, f"privacy.{place}", value)))
    assert refused.value.code == 422, refused.value
    assert words in refused.value.fields.get(f"spec.privacy.{field}", ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


def test_50_callers_with_one_name_are_refused_and_with_50_names_accepted(api: Api, namespace: str) -> None:
    callers = [{"name": f"caller-{number}", "certificate": {"san": "a"}} for number in range(50)]
    create(api, namespace, deployment(changed(GOOD, "privacy.clients", callers)))
    same = [{**caller, "name": "caller"} for caller in callers]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(GOOD, "privacy.clients", same), "refused"))
    assert set(refused.value.fields) <= {f"spec.privacy.clients[{number}]" for number in range(1, 50)}
    assert set(refused.value.fields.values()) == {'Duplicate value: {"name":"caller"}'}


@pytest.mark.parametrize("mode", ["Disabled", "External", NOTHING], ids=["Disabled", "External", "default of Open"])
@pytest.mark.parametrize("field", ["clients", "audit"])
def test_callers_and_audit_need_the_proxy(api: Api, namespace: str, mode: Any, field: str) -> None:
    """Without the proxy nobody would check callers or write the log, so the setting must not look effective."""
    value = {"clients": [{"name": "shop", "token": TOKEN}], "audit": "All"}[field]
    privacy: dict[str, Any] = {"profile": "Open", "tls": {"mode": "Managed"}, field: value}
    create(api, namespace, deployment({**MINIMAL, "privacy": privacy}, "control"))
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed({**MINIMAL, "privacy": privacy}, "privacy.tls.mode", mode)))
    assert list(refused.value.fields) == [f"spec.privacy.{field}"]
    assert PROXY in refused.value.fields[f"spec.privacy.{field}"]


def test_callers_of_every_kind_are_accepted_and_kept(api: Api, namespace: str) -> None:
    """Every field survives storage as it was written."""
    assert create(api, namespace, deployment(GOOD))["spec"] == {**GOOD, "replicas": 1}


@pytest.mark.parametrize(
    "tls",
    [
        {"mode": "Managed"},
        {"mode": "Secret", "secretRef": {"name": "certificate"}},
        {"mode": "CertManager", "certManager": ISSUER},
        {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}},
        {
            "mode": "CertManager",
            "certManager": {"issuerRef": {"name": "a", "kind": "PCAIssuer", "group": "pca.example.com"}},
        },
    ],
    ids=["Managed", "Secret", "CertManager", "CertManager with defaults", "external issuer"],
)
def test_callers_are_accepted_with_each_certificate(api: Api, namespace: str, tls: dict[str, Any]) -> None:
    """The proxy checks callers in all three modes."""
    create(api, namespace, deployment(changed(GOOD, "privacy.tls", tls)))


@pytest.mark.parametrize("mode", ["External", "Disabled"])
def test_a_mode_without_the_proxy_is_accepted(api: Api, namespace: str, mode: str) -> None:
    """Without callers, both are complete."""
    create(api, namespace, deployment({**MINIMAL, "privacy": {"tls": {"mode": mode}, "audit": "Off"}}))


def test_no_caller_at_all_is_accepted(api: Api, namespace: str) -> None:
    """An empty list admits nobody, for example while access is blocked."""
    created = create(api, namespace, deployment({**MINIMAL, "privacy": {"tls": {"mode": "Managed"}, "clients": []}}))
    assert created["spec"]["privacy"]["clients"] == []
