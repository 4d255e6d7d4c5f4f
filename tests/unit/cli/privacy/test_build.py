"""The report on a deployment: states, the evidence, and what is missing."""

from __future__ import annotations

import ssl
from pathlib import Path
from ssl import PEM_cert_to_DER_cert as pem_to_der
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.certificates import Authority
from tests.privacy_reports import (
    CLIENTS,
    DIGEST,
    FINDING,
    SINCE,
    a_bundle,
    a_config_map,
    a_policy,
    a_private_body,
    a_report,
    a_serving_pod,
)
from triton_operator.api.status import ControlName, ControlState, Truth
from triton_operator.cli.privacy.report import EvidenceItem, PrivacyReport
from triton_operator.signing.keys import read_key
from triton_operator.triton.proxy_contract.policy import Caller, ProxyPolicy, encode


def evidence(report: PrivacyReport, control: ControlName) -> dict[str, dict[str, str]]:
    """The evidence for a control: facts by subject."""
    (found,) = (each for each in report.controls if each.name == control)
    return by_subject(found.evidence)


def by_subject(found: tuple[EvidenceItem, ...]) -> dict[str, dict[str, str]]:
    return {each.subject: each.facts for each in found}


def test_every_control_has_its_state_and_the_time_since_which_it_has_it() -> None:
    report = a_report(a_private_body(enforced=False))
    assert [control.name for control in report.controls] == list(ControlName)
    first, second, *_ = report.controls
    assert (first.state, first.since) == (ControlState.NOT_ENFORCED, SINCE)
    assert second.state is ControlState.ENFORCED
    assert (report.time, report.deployment.uid, report.deployment.generation) == (
        "2026-06-01T12:00:00Z",
        "uid-of-digits",
        1,
    )


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (a_private_body(), (Truth.TRUE, "Enforced")),
        (a_private_body(enforced=False), (Truth.FALSE, "PolicyMissing")),
        (a_private_body(status={"observedGeneration": 0}), (Truth.UNKNOWN, "Outdated")),
        (a_private_body(status={"conditions": []}), (Truth.UNKNOWN, "NotSeenYet")),
        (a_private_body(privacy={"profile": "Open"}), (Truth.FALSE, "ProfileOpen")),
    ],
)
def test_only_a_condition_of_the_latest_generation_counts(body: dict[str, Any], verdict: tuple[Truth, str]) -> None:
    found = a_report(body).verdict
    assert (found.status, found.reason) == verdict
    assert found.is_enforced == (verdict[0] is Truth.TRUE)


def test_the_scan_of_each_model_is_reported() -> None:
    (scanned,) = a_report().models
    assert (scanned.scanned, scanned.finding_count, scanned.scan) == (True, 9, "9 findings")
    assert [msgspec.to_builtins(each) for each in scanned.findings] == [FINDING]
    (unknown,) = a_report(a_private_body(status={"models": []})).models
    assert (unknown.scanned, unknown.scan) == (False, "not reported")


def test_sources_and_signers_show_where_models_come_from() -> None:
    bucket = {"s3": {"bucket": "models", "prefix": "v7", "endpoint": "https://10.0.0.9:9000"}}
    cache = {"size": "5Gi", "egress": {"cidrs": ["10.0.0.0/24"]}}
    body = a_private_body(modelRepository=bucket, models=[{"name": "digits"}, {"name": "texts"}], cache=cache)
    assert evidence(a_report(body), ControlName.MODEL_SOURCES) == {
        "model digits": {"source": "s3://models/v7", "signedBy": "release"},
        "model texts": {"source": "s3://models/v7", "signedBy": "no named key"},
        "spec.cache.egress": {"cidrs": "10.0.0.0/24"},
    }


BROKEN = {
    "a name that is no text": (b"digits-ca", b"\xff" * 9),
    "an unknown version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x26"),
    "a wrong length": (b"\x30\x82", b"\x30\xff"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_certificate_in_a_bundle_does_not_stop_the_report(case: str) -> None:
    """Users of the namespace write the bundles of clients. The other certificates of the bundle are reported."""
    der = pem_to_der(Authority("digits-ca").pem)
    assert BROKEN[case][0] in der
    pem = ssl.DER_cert_to_PEM_cert(der.replace(*BROKEN[case]))
    cas = {"configMapRef": {"name": "clients", "key": "ca.crt"}}
    body = a_private_body(privacy={"clients": CLIENTS, "clientCas": cas})
    key = {"name": "release", "configMapRef": {"name": "clients", "key": "ca.crt"}}
    body["spec"]["verification"] = {"keys": [key]}
    report = a_report(body, config_maps={"clients": a_config_map("clients", **{"ca.crt": pem})})
    facts = [each.facts for each in report.controls[[*ControlName].index(ControlName.CALLERS)].evidence]
    assert any("valid certificate" in each.get("problem", "") for each in facts)


def test_policies_are_evidence_for_the_control_of_the_network() -> None:
    """The deployment's own policy, and those of others that open its pods."""
    own = a_policy(owner="uid-of-digits")
    everything = a_policy("allow-all", selector={})
    elsewhere = a_policy("elsewhere", selector={"matchLabels": {"app": "web"}})
    closed = a_policy("deny", selector={}, ingress=[])
    cache = a_policy("digits-cache-1", owner="uid-of-digits")
    report = a_report(policies=[own, everything, elsewhere, closed, cache])
    assert evidence(report, ControlName.NETWORK_POLICY)["NetworkPolicy digits"] == {
        "uid": "uid-of-digits",
        "resourceVersion": "7",
        "created": "",
        "owner": "ModelDeployment digits",
        "policyTypes": "Ingress, Egress",
        "ingress": '[{"from": [{"podSelector": {}}]}]',
        "egress": "[]",
    }
    assert set(evidence(report, ControlName.OTHER_POLICIES)) == {"NetworkPolicy allow-all"}
    assert evidence(report, ControlName.OTHER_POLICIES)["NetworkPolicy allow-all"]["owner"] == "none"


def test_the_policy_of_the_cache_shows_where_its_job_may_connect() -> None:
    cache = {"size": "1Gi", "egress": {"cidrs": ["10.0.0.0/8"]}}
    reported = {"cache": {"claimName": "digits-cache-1", "state": "Filled"}}
    report = a_report(a_private_body(cache=cache, status=reported), policies=[a_policy("digits-cache-1")])
    found = evidence(report, ControlName.CACHE_EGRESS)
    assert found["spec.cache.egress"] == {"cidrs": "10.0.0.0/8"}
    assert "NetworkPolicy digits-cache-1" in found


def test_images_of_all_pods_have_the_digests_that_run() -> None:
    other = "sha256:" + "77" * 32
    report = a_report(pods=[a_serving_pod("a"), a_serving_pod("b"), a_serving_pod("c", other)])
    assert evidence(report, ControlName.IMAGES_BY_DIGEST) == {
        "container triton": {
            "image": "example.org/triton:1",
            "running": f"example.org/triton@{DIGEST}, example.org/triton@{other}",
        }
    }


def test_authorities_are_listed_from_their_public_bundle() -> None:
    """The serving certificate itself is in a Secret, and the report says that it did not read it."""
    first, second = Authority("first"), Authority("second")
    found = evidence(a_report(config_maps={"triton-operator-ca": a_bundle(first.pem + second.pem)}), ControlName.TLS)
    assert "Secret triton-operator-serving" in found["spec.privacy.tls"]["certificate"]
    facts = found["CA certificate 2 of 2 in ConfigMap triton-operator-ca"]
    assert (facts["subject"], facts["issuer"]) == ("CN=second", "CN=second")
    assert set(facts) == {"subject", "issuer", "serial", "notBefore", "notAfter", "sha256"}


def test_a_bundle_that_is_no_certificate_is_reported() -> None:
    found = evidence(a_report(config_maps={"triton-operator-ca": a_bundle("none")}), ControlName.TLS)
    assert "no valid certificate" in found["ConfigMap triton-operator-ca"]["problem"]


def test_a_certificate_of_cert_manager_has_its_issuer_and_dates() -> None:
    tls = {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}}
    certificate = {
        "metadata": {"name": "digits-tls", "uid": "u"},
        "spec": {"issuerRef": {"name": "company", "kind": "ClusterIssuer"}, "dnsNames": ["digits.shop.svc"]},
        "status": {
            "notBefore": "2026-05-01T00:00:00Z",
            "notAfter": "2026-08-01T00:00:00Z",
            "revision": 3,
            "conditions": [{"type": "Ready", "status": "True", "message": "up to date"}],
        },
    }
    facts = evidence(a_report(a_private_body(privacy={"tls": tls}), certificate=certificate), ControlName.TLS)
    assert facts["Certificate digits-tls"] == {
        "uid": "u",
        "issuer": "ClusterIssuer company",
        "names": "digits.shop.svc",
        "notBefore": "2026-05-01T00:00:00Z",
        "notAfter": "2026-08-01T00:00:00Z",
        "renewalTime": "",
        "revision": "3",
        "ready": "True up to date",
    }


def test_callers_have_a_kind_and_an_identity() -> None:
    clients = [
        {"name": "a", "serviceAccount": {"name": "checkout"}, "models": ["digits"]},
        {"name": "b", "jwt": {"issuer": "https://i", "audiences": ["x", "y"], "claims": {"team": "red"}}},
        {"name": "c", "certificate": {"subject": "CN=c"}, "requestsPerSecond": 5},
        {"name": "d", "certificate": {"san": "c.example.org"}},
        {"name": "e", "token": {"publicKeys": ["PEM", "PEM"], "revoked": ["1"]}},
    ]
    limits = {"models": "all", "requestsPerSecond": "unlimited"}
    assert evidence(a_report(a_private_body(privacy={"clients": clients})), ControlName.CALLERS) == {
        "caller a": {
            **limits,
            "kind": "ServiceAccount",
            "serviceAccount": "shop/checkout",
            "models": "digits",
        },
        "caller b": {**limits, "kind": "JWT", "issuer": "https://i", "audiences": "x, y", "claims": "team=red"},
        "caller c": {**limits, "kind": "Certificate", "subject": "CN=c", "requestsPerSecond": "5"},
        "caller d": {**limits, "kind": "Certificate", "san": "c.example.org"},
        "caller e": {**limits, "kind": "Token", "publicKeys": "2", "revoked": "1"},
    }


@pytest.mark.parametrize(
    ("policy", "admitted"),
    [
        (encode(ProxyPolicy(callers=(Caller("shop"), Caller("reports")))), "shop, reports"),
        (encode(ProxyPolicy(callers=())), "nobody"),
        (encode(ProxyPolicy()), "every client that the NetworkPolicy admits"),
        ('{"fieldOfAnotherRelease": 1}', "cannot be read; install the same release of the operator and tritonctl"),
    ],
)
def test_the_policy_of_the_proxy_shows_who_is_admitted(policy: str, admitted: str) -> None:
    config = a_config_map("digits-proxy", **{"policy.json": policy})
    assert (
        evidence(a_report(config_maps={"digits-proxy": config}), ControlName.CALLERS)["ConfigMap digits-proxy"][
            "callers"
        ]
        == admitted
    )


def test_a_deployment_without_callers_says_who_can_call() -> None:
    found = evidence(a_report(a_private_body(privacy={})), ControlName.CALLERS)
    assert found == {"spec.privacy.clients": {"callers": "every client that the NetworkPolicy admits"}}


def test_keys_that_verify_models_have_their_fingerprints(tmp_path: Path) -> None:
    """The same as in messages and signatures."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "key.pem").write_text(pem)
    keys = [
        {"name": "release", "publicKey": pem},
        {"name": "vendor", "configMapRef": {"name": "keys", "key": "vendor.pem"}},
        {"name": "company", "configMapRef": {"name": "keys", "key": "ca.pem"}},
        {"name": "broken", "publicKey": "none"},
        {"name": "unread", "configMapRef": {"name": "other", "key": "key.pem"}},
    ]
    config_maps = {"keys": a_config_map("keys", **{"vendor.pem": pem, "ca.pem": Authority("company").pem})}
    report = a_report(a_private_body(verification={"keys": keys}), config_maps=config_maps)
    verification, decryption, scan = report.settings
    assert scan.value == "Warn"
    assert (verification.value, decryption.value) == ("Required", "Off")
    facts, expected = by_subject(verification.evidence), read_key("release", tmp_path / "key.pem").fingerprint
    assert facts["key release"] == {"source": "spec.verification.keys", "sha256": expected}
    assert facts["key vendor"] == {"source": "ConfigMap keys, key vendor.pem", "sha256": expected}
    assert "CN=company" in facts["key company"]["certificates"]
    assert "not a public key" in facts["key broken"]["problem"]
    assert facts["key unread"] == {"source": "ConfigMap other, key key.pem"}
    assert report.models[0].signed_by == "release"


@pytest.mark.parametrize(
    ("verification", "value"),
    [
        (None, "Off"),
        ({"scan": "Refuse"}, "Off"),
        ({"keys": [{"name": "release"}]}, "Required"),
        ({"keys": [{"name": "release"}], "require": False}, "IfSigned"),
    ],
)
def test_signatures_are_verified_only_with_keys(verification: dict[str, Any] | None, value: str) -> None:
    assert a_report(a_private_body(verification=verification)).settings[0].value == value


def test_decryption_names_the_secret_that_is_not_read() -> None:
    decryption = {"secretRef": {"name": "model-keys"}, "memory": "1Gi"}
    _, setting, _ = a_report(a_private_body(decryption=decryption, verification=None)).settings
    assert setting.value == "On"
    assert by_subject(setting.evidence) == {
        "Secret model-keys": {"key": "keyset.json, which this report does not read", "memory": "1Gi"}
    }


def test_decryption_names_the_vault_and_what_it_opens() -> None:
    vault = {"address": "https://10.0.0.5:8200", "role": "digits", "key": "models", "egress": {"to": [{}]}}
    report = a_report(a_private_body(decryption={"vault": vault, "memory": "1Gi"}))
    setting = report.settings[1]
    facts = {"role": "digits", "key": "transit/models", "memory": "1Gi"}
    assert by_subject(setting.evidence) == {"vault https://10.0.0.5:8200": facts}


@pytest.mark.parametrize(
    ("repository", "shown"),
    [
        ({"image": {"reference": "example.org/models:1"}}, "image example.org/models:1"),
        ({"pvc": {"claimName": "models"}}, "claim models"),
        ({"s3": {"bucket": "b", "prefix": "p/q"}}, "s3://b/p/q"),
        ({"http": {"url": "https://u:secret@example.org/m.tar?signature=secret"}}, "https://example.org/m.tar"),
    ],
)
def test_a_model_has_its_source_without_credentials(repository: dict[str, Any], shown: str) -> None:
    assert a_report(a_private_body(modelRepository=repository)).models[0].repository == shown


def test_a_model_of_which_nothing_is_reported_is_pending() -> None:
    (model,) = a_report(a_private_body(status={"models": []})).models
    assert (model.state, model.digest) == ("Pending", "")
