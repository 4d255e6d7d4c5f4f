"""The volume in memory for decrypted models, and where the key is mounted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.revision import render_revision
from triton_operator.triton.prepare_contract.request import decode

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


def test_without_a_key_the_pod_is_that_of_older_releases() -> None:
    pod = template()
    assert not {"plaintext", "decryption-key"} & {volume["name"] for volume in pod["volumes"]}
    revision = render_revision(a_deployment(), [], SETTINGS)
    assert b"decrypt" not in revision.encode()
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
