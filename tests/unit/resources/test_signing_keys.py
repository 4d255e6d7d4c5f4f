"""The keys of `spec.verification` in the pod and in the cache Job, and the volume for copies of verified models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.resources.cache_content import recipe
from triton_operator.resources.cache_job import build_cache_job
from triton_operator.resources.revision import Revision, inputs_hash, render_revision
from triton_operator.triton.prepare_contract.request import KeyFile, SignatureCheck, decode

KEYS = [
    {"name": "release", "publicKey": "-----BEGIN PUBLIC KEY-----"},
    {"name": "old", "configMapRef": {"name": "signers", "key": "old.pub"}},
]
CHECK = SignatureCheck(
    (
        KeyFile("release", public_key="-----BEGIN PUBLIC KEY-----"),
        KeyFile("old", file="signer-1.pem", config_map="signers", config_key="old.pub"),
    )
)
IMAGE = {"image": {"reference": "registry.example.com/models:7"}}
CLAIM = {"pvc": {"claimName": "models"}}
BUCKET = {"s3": {"bucket": "models"}}


def rendered(repository: dict[str, Any], **spec: Any) -> Revision:
    verification = {"keys": KEYS}
    deployment = a_deployment(modelRepository=repository, **({"verification": verification} | spec))
    return render_revision(deployment, [], SETTINGS)


def volumes(revision: Revision) -> dict[str, Any]:
    return {volume["name"]: volume for volume in revision.template["spec"]["volumes"]}


def mounts(revision: Revision, kind: str) -> dict[str, Any]:
    container = revision.template["spec"][kind][0]
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def test_prepare_gets_the_keys_and_the_config_map_of_a_key_is_mounted() -> None:
    revision = rendered(IMAGE)
    request = decode(revision.config["models.json"].encode())
    assert request.verification == CHECK
    sources = volumes(revision)["config"]["projected"]["sources"]
    assert sources[1] == {
        "configMap": {"name": "signers", "items": [{"key": "old.pub", "path": "signer-1.pem"}], "optional": True}
    }


@pytest.mark.parametrize(
    ("repository", "extra", "copied"),
    [
        (IMAGE, {}, False),
        (CLAIM, {}, True),
        (BUCKET, {"privacy": {"profile": "Open"}}, False),
        (BUCKET, {"cache": {"size": "1Gi"}}, True),
    ],
    ids=["image", "claim", "fetched by each pod", "cache"],
)
def test_models_are_copied_from_sources_that_others_can_change(
    repository: dict[str, Any], extra: dict[str, Any], copied: bool
) -> None:
    revision = rendered(repository, **extra)
    (model,) = decode(revision.config["models.json"].encode()).models
    assert model.writable is copied
    assert ("verified" in volumes(revision)) is copied
    assert ("verified" in mounts(revision, "containers")) is copied
    if copied:
        assert mounts(revision, "containers")["verified"] == {
            "name": "verified",
            "mountPath": "/verified",
            "readOnly": True,
        }
        assert mounts(revision, "initContainers")["verified"] == {"name": "verified", "mountPath": "/verified"}


def test_without_verification_the_pod_is_that_of_older_releases() -> None:
    plain, verified = (
        a_deployment(modelRepository=CLAIM),
        a_deployment(modelRepository=CLAIM, verification={"keys": KEYS}),
    )
    assert inputs_hash(plain.spec) != inputs_hash(verified.spec)
    revision = render_revision(plain, [], SETTINGS)
    assert b"verification" not in revision.encoded
    assert "verified" not in volumes(revision)


def test_the_job_of_a_cache_verifies_what_it_fetches_and_is_made_again_for_other_keys() -> None:
    deployment = a_deployment(modelRepository=BUCKET, cache={"size": "1Gi"}, verification={"keys": KEYS})
    job = build_cache_job(deployment, "digits-cache-1", "recipe", SETTINGS)
    template = job["spec"]["template"]
    (annotation,) = template["metadata"]["annotations"].values()
    request = decode(annotation.encode())
    assert request.verification == CHECK
    assert [(model.name, model.source) for model in request.models] == [("digits", "/cache/source")]
    config = next(volume for volume in template["spec"]["volumes"] if volume["name"] == "config")
    assert [next(iter(source)) for source in config["projected"]["sources"]] == ["downwardAPI", "configMap"]
    other = a_deployment(modelRepository=BUCKET, cache={"size": "1Gi"}, verification={"keys": KEYS[:1]})
    assert recipe(deployment.spec) != recipe(other.spec)
