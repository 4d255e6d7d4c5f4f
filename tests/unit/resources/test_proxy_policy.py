"""The proxy's policy: who is admitted with which keys, and the limits; a key that is not one names its field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.builders import SETTINGS, a_deployment
from tests.unit.resources.test_public_keys import a_certificate, ec_jwk, jwks, pem_of, rsa_jwk
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.privacy import Audit
from triton_operator.api.references import ConfigMapKey
from triton_operator.api.serving_names import serving_names
from triton_operator.api.spec import Endpoint
from triton_operator.resources.build import render
from triton_operator.resources.proxy_inputs import OFFLINE, ProxyInputs, needs_cluster_keys, references
from triton_operator.resources.proxy_policy import build_proxy_policy
from triton_operator.resources.public_keys import key_id, keys_of_jwks
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    TokenRule,
    decode,
)

MIB = 1 << 20
CLUSTER = Issuer("https://kubernetes.default.svc", keys_of_jwks(jwks(rsa_jwk(kid="cluster"))))
LOGIN = jwks(ec_jwk(kid="login"))
CERTIFICATE = a_certificate()
KEYS = ConfigMapKey(name="login", key="jwks.json")
CAS = ConfigMapKey(name="company", key="ca.crt")
INPUTS = ProxyInputs(CLUSTER, {KEYS: LOGIN, CAS: CERTIFICATE})
AUDIENCE = "modeldeployments.triton-operator.io/shop/digits"
PEM = pem_of(ec.generate_private_key(ec.SECP256R1()).public_key())

SERVICE_ACCOUNT: dict[str, Any] = {"name": "checkout", "serviceAccount": {"name": "checkout"}}
JWT: dict[str, Any] = {
    "name": "login",
    "jwt": {"issuer": "https://login", "audiences": ["a"], "jwksConfigMapRef": {"name": "login", "key": "jwks.json"}},
}
CERTIFIED = {"name": "mesh", "certificate": {"subject": "CN=checkout,O=Shop"}}
TOKEN = {"name": "partner", "token": {"publicKeys": [PEM], "revoked": ["old"]}}
CLIENT_CAS = {"configMapRef": {"name": "company", "key": "ca.crt"}}


def policy_of(*clients: dict[str, Any], inputs: ProxyInputs = INPUTS, **privacy: Any) -> ProxyPolicy:
    privacy = {"tls": {"mode": "Managed"}, "clients": list(clients), **privacy}
    return build_proxy_policy(a_deployment(privacy=privacy), inputs)


@pytest.mark.parametrize("mode", ["Managed", "Secret", "CertManager"])
def test_the_certificate_must_be_valid_for_a_name_that_clients_use(mode: str) -> None:
    """In every mode, because the names of the rendered pods stay the same if the mode changes."""
    spec: dict[str, Any] = {"privacy": {"tls": {"mode": mode}}, "service": {"hostnames": ["digits.example.com"]}}
    names = build_proxy_policy(a_deployment(**spec), INPUTS).server_names
    assert names == serving_names("shop", "digits", ("digits.example.com",))
    assert {"digits.shop.svc", "digits.example.com"} < set(names)


def test_a_service_account_is_admitted_by_its_name_for_this_deployment_only() -> None:
    """Its namespace is by default that of the deployment."""
    other = {"name": "other", "serviceAccount": {"name": "checkout", "namespace": "web"}}
    policy = policy_of(SERVICE_ACCOUNT, other)
    assert policy.callers == (
        Caller(
            "checkout", TokenRule(CLUSTER.name, (AUDIENCE,), (Claim("sub", "system:serviceaccount:shop:checkout"),))
        ),
        Caller("other", TokenRule(CLUSTER.name, (AUDIENCE,), (Claim("sub", "system:serviceaccount:web:checkout"),))),
    )
    assert policy.issuers == (CLUSTER,)


def test_a_provider_s_token_needs_its_audience_and_claims() -> None:
    caller = {**JWT, "jwt": {**JWT["jwt"], "claims": {"scope.role": "reader", "azp": "checkout"}}, "models": ["digits"]}
    policy = policy_of({**caller, "requestsPerSecond": 20})
    rule = TokenRule("https://login", ("a",), (Claim("azp", "checkout"), Claim("scope.role", "reader")))
    assert policy.callers == (Caller("login", rule, models=("digits",), requests_per_second=20),)
    assert policy.issuers == (Issuer("https://login", keys_of_jwks(LOGIN)),)


def test_keys_of_the_same_issuer_are_combined_without_repetition() -> None:
    inline = {
        "name": "inline",
        "jwt": {"issuer": "https://login", "audiences": ["b"], "jwks": jwks(rsa_jwk(kid="new"))},
    }
    policy = policy_of(JWT, inline, {**JWT, "name": "again"})
    assert [[key.kid for key in issuer.keys] for issuer in policy.issuers] == [["login", "new"]]


def test_our_own_tokens_have_an_issuer_for_each_caller() -> None:
    """A key of one caller must not sign for another one."""
    policy = policy_of(TOKEN, {**TOKEN, "name": "second"})
    issuers = [f"triton-operator.io/tokens/shop/digits/{name}" for name in ("partner", "second")]
    assert [issuer.name for issuer in policy.issuers] == issuers
    assert [caller.token for caller in policy.callers or ()] == [TokenRule(name, (AUDIENCE,)) for name in issuers]
    (key,) = policy.issuers[0].keys
    assert (key.kid, key.algorithm, key.pem) == (key_id(PEM), "ES256", PEM)
    assert policy.issuers[0].revoked == ("old",)


def test_certificates_are_matched_by_subject_or_name() -> None:
    named = {"name": "named", "certificate": {"san": "spiffe://a/b"}}
    policy = policy_of(CERTIFIED, named, clientCas=CLIENT_CAS)
    assert policy.callers == (
        Caller("mesh", certificate=CertificateRule(subject="CN=checkout,O=Shop")),
        Caller("named", certificate=CertificateRule(san="spiffe://a/b")),
    )
    assert policy.client_cas == CERTIFICATE


def test_no_list_admits_everybody_and_an_empty_list_nobody() -> None:
    assert build_proxy_policy(a_deployment(), ProxyInputs()).callers is None
    assert policy_of().callers == ()


@pytest.mark.parametrize(("given", "audit"), [(None, Audit.ALL), ("Refused", Audit.REFUSED), ("Off", Audit.OFF)])
def test_requests_are_logged_unless_the_user_decides_otherwise(given: str | None, audit: Audit) -> None:
    privacy = {"tls": {"mode": "Managed"}} | ({"audit": given} if given else {})
    assert build_proxy_policy(a_deployment(privacy=privacy), INPUTS).audit is audit


@pytest.mark.parametrize(
    ("spec", "opened"),
    [
        ({}, ()),
        ({"triton": {"openEndpoints": ["Statistics"]}}, (Endpoint.STATISTICS,)),
        ({"privacy": {"profile": "Open", "tls": {"mode": "Managed"}}}, tuple(Endpoint)),
    ],
)
def test_the_proxy_opens_what_triton_opens(spec: dict[str, Any], opened: tuple[Endpoint, ...]) -> None:
    assert build_proxy_policy(a_deployment(**spec), INPUTS).open_endpoints == opened


@pytest.mark.parametrize(
    ("clients", "inputs", "field", "message"),
    [
        (
            [SERVICE_ACCOUNT],
            ProxyInputs(),
            "clients[0].serviceAccount",
            "the cluster's public keys, which verify its tokens, are not known",
        ),
        (
            [TOKEN, JWT],
            ProxyInputs(),
            "clients[1].jwt.jwksConfigMapRef",
            "ConfigMap login does not exist or has no key jwks.json",
        ),
        (
            [JWT],
            ProxyInputs(texts={KEYS: "{}"}),
            "clients[0].jwt.jwksConfigMapRef",
            "it is not a JSON Web Key Set: Object missing required field `keys`",
        ),
        (
            [{"name": "a", "jwt": {"issuer": "i", "audiences": ["a"], "jwks": '{"keys": []}'}}],
            INPUTS,
            "clients[0].jwt.jwks",
            "it contains no usable key: an RSA key for RS256, RS384 or RS512, or an EC key for ES256, ES384 or ES512",
        ),
        (
            [{"name": "a", "token": {"publicKeys": [PEM, "key"]}}],
            INPUTS,
            "clients[0].token.publicKeys[1]",
            "it is not a public key in PEM form (BEGIN PUBLIC KEY)",
        ),
        (
            [{"name": "a", "jwt": {"issuer": "i", "audiences": ["a"], "jwks": LOGIN, "claims": {"team": "équipe"}}}],
            INPUTS,
            "clients[0].jwt.claims",
            "the value of team must be printable ASCII of 1 to 1024 characters",
        ),
        (
            [{"name": "a"}],
            INPUTS,
            "clients[0]",
            "exactly one of serviceAccount, jwt, certificate and token must be set",
        ),
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_reported_with_its_field(
    clients: list[dict[str, Any]], inputs: ProxyInputs, field: str, message: str
) -> None:
    with pytest.raises(InvalidSpecError) as error:
        policy_of(*clients, inputs=inputs)
    assert (error.value.path, str(error.value)) == (
        f"spec.privacy.{field}",
        f"spec.privacy.{field}: {message}",
    )


def test_authorities_that_are_none_are_reported_with_their_field() -> None:
    with pytest.raises(InvalidSpecError) as error:
        policy_of(CERTIFIED, clientCas=CLIENT_CAS, inputs=ProxyInputs(texts={CAS: "none"}))
    assert error.value.path == "spec.privacy.clientCas.configMapRef"
    subject = {"name": "a", "certificate": {"subject": "checkout"}}
    with pytest.raises(InvalidSpecError) as error:
        policy_of(subject, clientCas=CLIENT_CAS)
    assert error.value.path == "spec.privacy.clients[0].certificate.subject"


def test_the_config_maps_that_the_policy_depends_on_are_listed() -> None:
    spec = a_deployment(privacy={"clients": [TOKEN, JWT, CERTIFIED], "clientCas": CLIENT_CAS}).spec
    assert list(references(spec)) == [
        ("spec.privacy.clients[1].jwt.jwksConfigMapRef", KEYS),
        ("spec.privacy.clientCas.configMapRef", CAS),
    ]
    assert not needs_cluster_keys(spec)
    assert needs_cluster_keys(a_deployment(privacy={"clients": [SERVICE_ACCOUNT]}).spec)


def test_the_config_map_contains_the_policy_and_nothing_secret() -> None:
    privacy = {"tls": {"mode": "Managed"}, "clients": [SERVICE_ACCOUNT, TOKEN]}
    deployment = a_deployment(privacy=privacy)
    children = {(child["kind"], child["metadata"]["name"]): child for child in render(deployment, SETTINGS, INPUTS)}
    data = children["ConfigMap", "digits-proxy"]["data"]
    assert set(data) == {"policy.json"}
    assert decode(data["policy.json"].encode()) == build_proxy_policy(deployment, INPUTS)
    assert "PRIVATE" not in data["policy.json"]
    assert json.loads(data["policy.json"])["callers"][0]["name"] == "checkout"


def test_offline_the_policy_has_callers_without_keys() -> None:
    policy = policy_of(SERVICE_ACCOUNT, JWT, CERTIFIED, clientCas=CLIENT_CAS, inputs=OFFLINE)
    assert [caller.name for caller in policy.callers or ()] == ["checkout", "login", "mesh"]
    assert [issuer.keys for issuer in policy.issuers] == [(), ()]


# --- The size of requests.


def a_model(batch: int, dims: list[int], kind: str = "FP32") -> dict[str, Any]:
    inputs = [{"name": "INPUT__0", "dataType": kind, "dims": dims}]
    outputs = [{"name": "OUTPUT__0", "dataType": "FP32", "dims": [1]}]
    return {"name": "digits", "config": {"maxBatchSize": batch, "inputs": inputs, "outputs": outputs}}


@pytest.mark.parametrize(
    ("spec", "mebibytes"),
    [
        ({}, 64),
        ({"models": [a_model(1, [1024])]}, 64),
        ({"models": [a_model(64, [3, 512, 512])]}, 64 * 3 * 8),
        ({"models": [a_model(64, [3, 512, 512], "UINT8")]}, 64 * 3 // 4 * 8),
        ({"models": [a_model(64, [3, -1, -1])]}, 64),
        ({"triton": {"extraArgs": ["--http-max-input-size=268435456"]}}, 256),
        ({"triton": {"extraArgs": ["--http-max-input-size=1024"]}}, 64),
    ],
)
def test_a_full_batch_and_what_triton_accepts_always_fit(spec: dict[str, Any], mebibytes: int) -> None:
    assert build_proxy_policy(a_deployment(**spec), INPUTS).limits.max_body_bytes == mebibytes * MIB


def test_no_request_is_larger_than_a_grpc_message() -> None:
    deployment = a_deployment(models=[a_model(1024, [3, 2048, 2048])])
    assert build_proxy_policy(deployment, INPUTS).limits.max_body_bytes == (1 << 31) - 1
