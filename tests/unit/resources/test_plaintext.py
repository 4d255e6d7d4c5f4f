"""The volume in memory for decrypted models, where the key or the token for a vault is mounted, and the way to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import render
from triton_operator.resources.network_policy import build_network_policy
from triton_operator.resources.revision import inputs_hash, render_revision
from triton_operator.triton.prepare_contract.request import VaultLogin, decode

DECRYPTION = {"secretRef": {"name": "model-keys", "key": "keys"}, "memory": "1Gi"}


def template(**spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = render_revision(a_deployment(**spec), [], SETTINGS).template["spec"]
    return found


def mounts(container: dict[str, Any]) -> dict[str, Any]:
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def test_the_plaintext_is_in_memory_and_only_prepare_has_the_key() -> None:
    pod = template(decryption=DECRYPTION)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["plaintext"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "256Mi"}
    items = [{"key": "keys", "path": "keyset.json"}]
    assert volumes["decryption-key"]["secret"] == {"secretName": "model-keys", "items": items}
    (prepare, *sidecars), (triton,) = pod["initContainers"], pod["containers"]
    assert mounts(prepare)["plaintext"] == {"name": "plaintext", "mountPath": "/plaintext"}
    assert mounts(triton)["plaintext"] == {"name": "plaintext", "mountPath": "/plaintext", "readOnly": True}
    assert "decryption-key" in mounts(prepare)
    assert not any("decryption-key" in mounts(container) for container in (triton, *sidecars))


VAULT: dict[str, Any] = {
    "address": "https://vault.example.com:8200",
    "role": "digits",
    "key": "models",
    "caConfigMapRef": {"name": "company-ca"},
    "egress": {"to": [{"ipBlock": {"cidr": "10.20.0.5/32"}}]},
}


def in_vault(**fields: Any) -> dict[str, Any]:
    return {"vault": VAULT | fields, "memory": "1Gi"}


def test_only_prepare_has_the_token_for_the_vault_and_only_the_vault_accepts_it() -> None:
    pod = template(decryption=in_vault())
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert "decryption-key" not in volumes
    token, authorities = volumes["decryption-vault"]["projected"]["sources"]
    assert token == {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600, "path": "token"}}
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    assert authorities == {"configMap": {"name": "company-ca", "items": items, "optional": True}}
    assert pod["automountServiceAccountToken"] is False
    (prepare, *sidecars), (triton,) = pod["initContainers"], pod["containers"]
    assert mounts(prepare)["decryption-vault"]["readOnly"] is True
    assert not any("decryption-vault" in mounts(container) for container in (triton, *sidecars))


def test_prepare_is_told_where_to_log_in() -> None:
    revision = render_revision(a_deployment(decryption=in_vault(authPath="k8s/a", transitPath="kms")), [], SETTINGS)
    request = decode(revision.config["models.json"].encode())
    assert request.decrypts
    assert request.vault == VaultLogin(VAULT["address"], "digits", "models", "k8s/a", "kms", "company-ca", "ca.crt")


def test_a_cache_holds_encrypted_files_so_its_job_does_not_log_in() -> None:
    http = {"http": {"url": "https://models.example.com/m.zip"}}
    children = render(a_deployment(modelRepository=http, cache={"size": "1Gi"}, decryption=in_vault()), SETTINGS)
    (job,) = (child for child in children if child["kind"] == "Job")
    assert "vault" not in str(job)
    assert "serviceAccountToken" in str(children)


def test_the_egress_of_the_vault_changes_the_policy_and_no_pod() -> None:
    other = in_vault(egress={"to": [{"podSelector": {}}], "ports": [1, 2]})
    before, after = (a_deployment(decryption=each).spec for each in (in_vault(), other))
    assert inputs_hash(before) == inputs_hash(after)
    assert inputs_hash(before) != inputs_hash(a_deployment(decryption=in_vault(role="other")).spec)


def egress(**spec: Any) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = build_network_policy(a_deployment(**spec), [])["spec"]["egress"]
    return rules


def test_the_policy_allows_the_vault_and_dns_only_if_its_address_has_a_name() -> None:
    assert egress(decryption=DECRYPTION) == []
    to_vault = {"to": [{"ipBlock": {"cidr": "10.20.0.5/32"}}], "ports": [{"port": 8200, "protocol": "TCP"}]}
    dns, *rules = egress(decryption=in_vault())
    assert rules == [to_vault]
    assert {port["port"] for port in dns["ports"]} == {53, 5353}
    for address in ("https://10.20.0.5:8200", "https://[fd00::5]:8200"):
        assert egress(decryption=in_vault(address=address)) == [to_vault]
    (rule,) = egress(
        decryption=in_vault(address="https://10.20.0.5", egress={"to": [{"podSelector": {}}], "ports": [9]})
    )
    assert rule == {"to": [{"podSelector": {}}], "ports": [{"port": 9, "protocol": "TCP"}]}
    assert egress(decryption=in_vault(address="https://10.20.0.5"))[0]["ports"] == [{"port": 443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("decryption", "path"),
    [
        ({"memory": "1Gi"}, "spec.decryption"),
        (DECRYPTION | {"vault": VAULT}, "spec.decryption"),
        (in_vault(egress={}), "spec.decryption.vault.egress.to"),
    ],
)
def test_the_key_is_in_one_place_and_the_way_to_it_is_named(decryption: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(resources={"limits": {"memory": "2Gi"}}, decryption=decryption).spec)
    assert refused.value.path == path


def test_the_profile_open_needs_no_peers() -> None:
    open_profile = {"profile": "Open"}
    limits = {"limits": {"memory": "2Gi"}}
    validate(a_deployment(resources=limits, privacy=open_profile, decryption=in_vault(egress={})).spec)


def test_without_a_key_the_pod_is_that_of_older_releases() -> None:
    pod = template()
    assert not {"plaintext", "decryption-key"} & {volume["name"] for volume in pod["volumes"]}
    revision = render_revision(a_deployment(), [], SETTINGS)
    assert b"decrypt" not in revision.encoded
    assert decode(revision.config["models.json"].encode()).decrypts is False


@pytest.mark.parametrize(
    ("limits", "prepare", "words"),
    [
        ({}, {}, "Triton (resources.limits), because the decrypted models are in memory: 1Gi of no limit"),
        ({"memory": "1Gi"}, {}, "1Gi of 1Gi"),
        ({"memory": "2Gi"}, {"memory": "1000Mi"}, "prepare (prepare.resources.limits)"),
    ],
)
def test_limits_that_are_too_small_are_named_with_both_numbers(
    limits: dict[str, str], prepare: dict[str, str], words: str
) -> None:
    """An object that was stored under an older CRD reaches the operator."""
    spec: dict[str, Any] = {
        "resources": {"limits": limits},
        "prepare": {"resources": {"limits": prepare}},
        "decryption": DECRYPTION,
    }
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(**spec).spec)
    assert refused.value.path == "spec.decryption.memory"
    assert words in str(refused.value)


def test_limits_that_are_large_enough_are_accepted() -> None:
    validate(a_deployment(resources={"limits": {"memory": "2Gi"}}, decryption=DECRYPTION).spec)
