"""Model repositories as volumes: the mounts, write access, and the downloads in the list for `prepare`."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import render
from triton_operator.resources.revision import inputs_hash
from triton_operator.triton.prepare_contract.request import Preparation, decode

IMAGE = {"image": {"reference": "example.org/models:1"}}
CLAIM = {"pvc": {"claimName": "models", "path": "/team"}}
BUCKET = {
    "s3": {"bucket": "models", "prefix": "v7", "endpoint": "https://s3.example.com"},
    "credentialsSecretRef": {"name": "reader"},
    "caBundleConfigMapRef": {"name": "company", "key": "bundle.pem"},
}
ARCHIVE = {"http": {"url": "https://example.com/models.tar.gz"}}
OPEN = {"profile": "Open"}


def _rendered(**spec: Any) -> tuple[dict[str, Any], Preparation]:
    found = render(a_deployment(**spec), SETTINGS)
    children = {child["kind"]: child for child in found if child["metadata"]["name"] != "digits-proxy"}
    pod: dict[str, Any] = children["Deployment"]["spec"]["template"]["spec"]
    kubernetes_validate.validate(copy.deepcopy(children["Deployment"]), "1.35", strict=True)
    return pod, decode(children["ConfigMap"]["data"]["models.json"].encode())


def _volumes(pod: dict[str, Any]) -> dict[str, Any]:
    return {volume.pop("name"): volume for volume in copy.deepcopy(pod["volumes"])}


def _mounts(container: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return {path: (volume, whether it is writable)}."""
    mounts = container["volumeMounts"]
    return {mount["mountPath"]: (mount["name"], not mount.get("readOnly", False)) for mount in mounts}


@pytest.mark.parametrize(
    ("repository", "frozen"),
    [
        (IMAGE, "531bd4785e"),
        (CLAIM | {"pvc": {"claimName": "models", "path": "/x"}}, "4064ca8c57"),
        ({"image": {"reference": "a:1", "pullPolicy": "Always", "path": "/r"}}, "359ef83ca8"),
    ],
)
def test_an_object_of_the_first_version_keeps_its_hash(repository: dict[str, Any], frozen: str) -> None:
    """A different hash would cause an upgrade of the operator to restart its pods."""
    assert inputs_hash(a_deployment(modelRepository=repository).spec) == frozen


def test_one_common_repository_is_mounted_as_ever() -> None:
    pod, preparation = _rendered(modelRepository=CLAIM)
    assert pod["volumes"][0] == {"name": "source", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    for container in (pod["initContainers"][0], *pod["containers"]):
        assert container["volumeMounts"][0] == {"name": "source", "mountPath": "/source", "readOnly": True}
    assert not {"source", "sourcePath"} & msgspec.to_builtins(preparation)["models"][0].keys()
    assert preparation.source_path == "/team"
    assert preparation.downloads == ()


def test_each_model_may_come_from_elsewhere_and_equal_repositories_are_one() -> None:
    pod, preparation = _rendered(
        modelRepository=IMAGE,
        models=[
            {"name": "a"},
            {"name": "b", "modelRepository": CLAIM},
            {"name": "c", "modelRepository": BUCKET, "path": "vision/c"},
            {"name": "d", "modelRepository": CLAIM, "path": "x/d"},
            {"name": "e", "modelRepository": IMAGE},
        ],
        privacy=OPEN,
    )
    places = {model.name: (model.source, model.source_path, model.path) for model in preparation.models}
    assert places == {
        "a": ("", "/", "a"),
        "b": ("/source-1", "/team", "b"),
        "c": ("/source-2", "/", "vision/c"),
        "d": ("/source-1", "/team", "x/d"),
        "e": ("", "/", "e"),
    }
    volumes = _volumes(pod)
    assert [name for name in volumes if name.startswith("source")] == [
        "source",
        "source-1",
        "source-2",
        "source-2-credentials",
        "source-2-ca",
    ]
    assert [download.target for download in preparation.downloads] == ["/source-2"]


def test_a_common_repository_that_no_model_uses_is_not_mounted() -> None:
    pod, _ = _rendered(modelRepository=IMAGE, models=[{"name": "a", "modelRepository": CLAIM}])
    assert [name for name in _volumes(pod) if name.startswith("source")] == ["source-1"]


def test_what_is_fetched_can_be_written_by_prepare_alone() -> None:
    pod, _ = _rendered(modelRepository=BUCKET, privacy=OPEN)
    (prepare,), (triton,) = pod["initContainers"], pod["containers"]
    assert _volumes(pod)["source"] == {"emptyDir": {"sizeLimit": "100Gi"}}
    assert _mounts(prepare)["/source"] == ("source", True)
    assert _mounts(triton)["/source"] == ("source", False)


def test_secret_and_certificates_reach_prepare_alone_and_as_files() -> None:
    pod, preparation = _rendered(modelRepository=BUCKET, privacy=OPEN)
    (prepare,), (triton,) = pod["initContainers"], pod["containers"]
    volumes = _volumes(pod)
    assert volumes["source-credentials"] == {"secret": {"secretName": "reader"}}
    assert volumes["source-ca"]["configMap"] == {"name": "company", "items": [{"key": "bundle.pem", "path": "ca.crt"}]}
    assert _mounts(prepare)["/credentials/source"] == ("source-credentials", False)
    assert _mounts(prepare)["/ca/source"] == ("source-ca", False)
    assert not {"source-credentials", "source-ca"} & {name for name, _ in _mounts(triton).values()}
    assert "env" not in prepare
    (download,) = preparation.downloads
    assert (download.credentials, download.ca_bundle) == ("/credentials/source", "/ca/source/ca.crt")


def test_only_the_wanted_folders_of_a_bucket_are_asked_for() -> None:
    models = [{"name": "b", "path": "vision/b"}, {"name": "a"}, {"name": "again", "path": "a"}]
    _, preparation = _rendered(modelRepository=BUCKET, models=models, privacy=OPEN)
    assert preparation.downloads[0].folders == ("a", "vision/b")
    _, preparation = _rendered(modelRepository=ARCHIVE, models=models, privacy=OPEN)
    assert preparation.downloads[0].folders == ()


def test_another_address_is_another_pod() -> None:
    spec: dict[str, Any] = {"privacy": OPEN, "modelRepository": ARCHIVE}
    other = spec | {"modelRepository": {"http": {"url": "https://example.com/models-v8.tar.gz"}}}
    assert inputs_hash(a_deployment(**spec).spec) != inputs_hash(a_deployment(**other).spec)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"modelRepository": {}}, "spec.modelRepository"),
        ({"modelRepository": IMAGE | CLAIM}, "spec.modelRepository"),
        ({"modelRepository": BUCKET}, "spec.modelRepository"),
        ({"models": [{"name": "a", "modelRepository": ARCHIVE}]}, "spec.models[0].modelRepository"),
        ({"models": [{"name": "a"}, {"name": "b", "modelRepository": {}}]}, "spec.models[1].modelRepository"),
        (
            {"modelRepository": {"s3": {"bucket": "models", "prefix": "../x"}}, "privacy": OPEN},
            "spec.modelRepository.s3.prefix",
        ),
        (
            {"models": [{"name": "a", "modelRepository": {"pvc": {"claimName": "x", "path": "/../y"}}}]},
            "spec.models[0].modelRepository.pvc.path",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_here_too(spec: dict[str, Any], field: str) -> None:
    """The check applies to objects that were stored before the CRD contained the rule."""
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(**spec).spec)
    assert refused.value.path == field


def test_without_a_common_repository_every_model_needs_its_own() -> None:
    body: dict[str, Any] = {"modelRepository": None, "models": [{"name": "a", "modelRepository": CLAIM}]}
    validate(a_deployment(**body).spec)
    with pytest.raises(InvalidSpecError, match=r"spec\.modelRepository: is required"):
        validate(a_deployment(modelRepository=None).spec)
