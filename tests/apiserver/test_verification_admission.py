"""Which signers and keys a real API server accepts and rejects, and which field the error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, changed, create, deployment
from tests.signers import Signer

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
IN_CONFIG_MAP = {"name": "signers", "key": "release.pub"}


def signers(*keys: dict[str, Any], **verification: Any) -> dict[str, Any]:
    """Return a spec that names these keys."""
    return changed(MINIMAL, "verification", {"keys": list(keys), **verification})


# The keys, the field that the server names, and words of the reason.
BAD: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "no key": ([], "verification.keys", "at least 1 items"),
    "a key without content": ([{"name": "a"}], "verification.keys[0]", "exactly one of publicKey and configMapRef"),
    "a key with both": (
        [{"name": "a", "publicKey": CERTIFICATE, "configMapRef": IN_CONFIG_MAP}],
        "verification.keys[0]",
        "exactly one of publicKey and configMapRef",
    ),
    "a key that is not PEM": ([{"name": "a", "publicKey": "AAAA"}], "verification.keys[0].publicKey", "in PEM form"),
    "a private key": (
        [{"name": "a", "publicKey": f"{CERTIFICATE}-----BEGIN EC PRIVATE KEY-----"}],
        "verification.keys[0].publicKey",
        "must not contain a private key",
    ),
    "two keys with one name": (
        [{"name": "a", "publicKey": CERTIFICATE}, {"name": "a", "configMapRef": IN_CONFIG_MAP}],
        "verification.keys[1]",
        "Duplicate value",
    ),
    "a name in capitals": ([{"name": "A", "publicKey": CERTIFICATE}], "verification.keys[0].name", "match"),
    "17 keys": (
        [{"name": f"a{number}", "publicKey": CERTIFICATE} for number in range(17)],
        "verification.keys",
        "at most 16 items",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_signers_are_refused_at_their_field(api: Api, namespace: str, case: str) -> None:
    keys, field, words = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(signers(*keys)))
    assert f"spec.{field}" in str(refused.value)
    assert words in str(refused.value)


def test_public_keys_certificates_and_config_maps_are_accepted(api: Api, namespace: str, tmp_path: Path) -> None:
    keys: list[dict[str, Any]] = [
        {"name": "release", "publicKey": Signer(tmp_path).public_key},
        {"name": "authority", "publicKey": CERTIFICATE},
        {"name": "old", "configMapRef": IN_CONFIG_MAP},
    ]
    body = create(api, namespace, deployment(signers(*keys, require=False)))
    assert body["spec"]["verification"] == {"keys": keys, "require": False}


@pytest.mark.parametrize("scan", ["Refuse", "Warn"])
def test_the_scan_needs_no_keys(api: Api, namespace: str, scan: str) -> None:
    body = create(api, namespace, deployment(changed(MINIMAL, "verification", {"scan": scan})))
    assert body["spec"]["verification"] == {"scan": scan}


# The verification, the field that the server names, and words of the reason.
BAD_SCANS: dict[str, tuple[dict[str, Any], str, str]] = {
    "another mode": ({"scan": "Ignore"}, "verification.scan", 'supported values: "Refuse", "Warn"'),
    "nothing to check": ({"require": True}, "verification", "set keys, scan, or both"),
}


@pytest.mark.parametrize("case", BAD_SCANS)
def test_a_wrong_scan_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    verification, field, words = BAD_SCANS[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(MINIMAL, "verification", verification)))
    assert f"spec.{field}" in str(refused.value)
    assert words in str(refused.value)


def decrypting(memory: str, limit: str = "", prepare: str = "") -> dict[str, Any]:
    """Return a spec with a volume of this size for the plaintext, and these memory limits."""
    spec = changed(MINIMAL, "decryption", {"secretRef": {"name": "model-keys"}, "memory": memory})
    if limit:
        spec = changed(spec, "resources", {"limits": {"memory": limit}})
    return changed(spec, "prepare", {"resources": {"limits": {"memory": prepare}}}) if prepare else spec


PEERS = [{"ipBlock": {"cidr": "10.20.0.5/32"}}]


def in_vault(profile: str = "", secret: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a spec whose key is in a vault."""
    vault = {"address": "https://10.20.0.5:8200", "role": "digits", "key": "models", "egress": {"to": PEERS}, **fields}
    decryption = {"vault": vault, "memory": "1Gi"} | ({"secretRef": secret} if secret else {})
    spec = changed(changed(MINIMAL, "decryption", decryption), "resources", {"limits": {"memory": "2Gi"}})
    return changed(spec, "privacy", {"profile": profile}) if profile else spec


# The spec, the field that the server names, and words of the reason.
BAD_VAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a vault and a Secret": (in_vault(secret={"name": "a"}), "decryption", "exactly one of secretRef and vault"),
    "no key": (
        changed(changed(MINIMAL, "decryption", {"memory": "1Gi"}), "resources", {"limits": {"memory": "2Gi"}}),
        "decryption",
        "exactly one of secretRef and vault",
    ),
    "no peers": (in_vault(egress={}), "decryption.vault.egress.to", "must name the addresses or pods of the vault"),
    "http": (in_vault(address="http://10.20.0.5"), "decryption.vault.address", "must be https://HOST"),
    "a path": (in_vault(address="https://vault/v1"), "decryption.vault.address", "without a path"),
    "a password": (in_vault(address="https://a:b@vault"), "decryption.vault.address", "must be https://HOST"),
    "a key with a slash": (in_vault(key="a/b"), "decryption.vault.key", "should match"),
    "a path that leads up": (in_vault(transitPath="a/../b"), "decryption.vault.transitPath", "should match"),
}


@pytest.mark.parametrize("case", BAD_VAULTS)
def test_a_wrong_vault_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    spec, field, words = BAD_VAULTS[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert f"spec.{field}: " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"profile": "Open", "egress": {}},
        {"address": "https://vault.example.com", "egress": {"to": [{"podSelector": {}}], "ports": [8200]}},
        {"address": "https://[fd00::5]:8200/", "authPath": "k8s/shop", "caConfigMapRef": {"name": "ca"}},
    ],
)
def test_vaults_are_accepted(api: Api, namespace: str, fields: dict[str, Any]) -> None:
    spec = in_vault(**fields)
    assert create(api, namespace, deployment(spec))["spec"]["decryption"] == spec["decryption"]


# The spec, and words of the reason.
NO_ROOM: dict[str, tuple[dict[str, Any], str]] = {
    "no limit": (decrypting("1Gi"), "1Gi of no limit"),
    "an equal limit": (
        decrypting("1Gi", "1Gi"),
        "(resources.limits), because the decrypted models are in memory: 1Gi of 1Gi",
    ),
    "a smaller limit": (decrypting("2Gi", "1500Mi"), "2Gi of 1500Mi"),
    "a smaller limit of prepare": (decrypting("1Gi", "2Gi", "512Mi"), "1Gi of 512Mi"),
    "no quantity": (decrypting("much", "2Gi"), "must be a quantity"),
}


@pytest.mark.parametrize("case", NO_ROOM)
def test_a_plaintext_that_cannot_fit_is_refused_with_both_numbers(api: Api, namespace: str, case: str) -> None:
    spec, words = NO_ROOM[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert "spec.decryption.memory" in str(refused.value)
    assert words in str(refused.value)


def test_a_plaintext_that_fits_is_accepted(api: Api, namespace: str) -> None:
    body = create(api, namespace, deployment(decrypting("1Gi", "2Gi", "1536Mi")))
    assert body["spec"]["decryption"] == {"secretRef": {"name": "model-keys"}, "memory": "1Gi"}
