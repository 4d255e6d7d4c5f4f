"""Configurations of models in a pod: the file, the author of the text, and the chosen defaults."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.replica_sets import mounted
from triton_operator.resources.build import render
from triton_operator.resources.settings import CatalogueImage, Settings
from triton_operator.triton.config.defaults import TuningInputs
from triton_operator.triton.prepare_contract.request import CONFIG_FILE, Preparation, decode
from triton_operator.triton.text.parser import parse

TYPED: dict[str, Any] = {
    "name": "digits",
    "config": {
        "maxBatchSize": 64,
        "inputs": [{"name": "INPUT__0", "dataType": "FP32", "dims": [3, 1024, 1024]}],
        "outputs": [{"name": "OUTPUT__0", "dataType": "FP32", "dims": [10]}],
    },
}
BY_HAND = {"name": "words", "configMapRef": {"name": "mine", "key": "words.pbtxt"}}
OWN = {"name": "linear"}
PIPELINE = {
    "name": "pipeline",
    "format": "Ensemble",
    "config": {
        "inputs": [{"name": "IMAGE", "dataType": "FP32", "dims": [1]}],
        "outputs": [{"name": "LABEL", "dataType": "FP32", "dims": [1]}],
        "ensemble": {
            "steps": [{"modelName": "digits", "inputMap": {"INPUT__0": "IMAGE"}, "outputMap": {"OUTPUT__0": "LABEL"}}]
        },
    },
}


def children(settings: Settings = SETTINGS, **spec: Any) -> dict[str, dict[str, Any]]:
    """The children by kind; these tests have one of each kind, apart from the ConfigMap of the sidecar `proxy`."""
    found = render(a_deployment(**spec), settings)
    return {child["kind"]: child for child in found if child["metadata"]["name"] != "digits-proxy"}


def preparation(settings: Settings = SETTINGS, **spec: Any) -> Preparation:
    """The request to `prepare`."""
    return decode(children(settings, **spec)["ConfigMap"]["data"][CONFIG_FILE].encode())


def volumes(**spec: Any) -> dict[str, dict[str, Any]]:
    """The pod's volumes by name."""
    pod = children(**spec)["Deployment"]["spec"]["template"]["spec"]
    return {volume["name"]: volume for volume in pod["volumes"]}


def test_each_typed_configuration_is_a_key_of_the_config_map() -> None:
    """The text is complete; models without a typed configuration have no key."""
    data = children(models=[OWN, TYPED, PIPELINE], resources={"limits": {"cpu": 2}})["ConfigMap"]["data"]
    assert data.keys() == {CONFIG_FILE, "1.pbtxt", "2.pbtxt"}
    digits = parse(data["1.pbtxt"])
    assert digits["instance_group"] == [{"count": [2], "kind": ["KIND_CPU"]}]
    assert (digits["name"], digits["dynamic_batching"]) == (["digits"], [{}])
    assert "instance_group" not in parse(data["2.pbtxt"])


def test_the_request_contains_the_source_of_each_configuration() -> None:
    """And the inputs of the defaults for missing fields."""
    own, typed, by_hand = preparation(models=[OWN, TYPED, BY_HAND], resources={"limits": {"cpu": "3500m"}}).models
    assert (own.config, typed.config, by_hand.config) == ("", "1.pbtxt", "2.pbtxt")
    assert (by_hand.config_map, by_hand.config_key) == ("mine", "words.pbtxt")
    assert (typed.config_map, typed.config_key) == ("", "")
    assert own.tuning == typed.tuning == by_hand.tuning == TuningInputs(cpus=3)


def test_the_request_contains_the_fields_of_each_model() -> None:
    """The values are unchanged."""
    digest = "sha256:" + "0" * 64
    fields = {"format": "ONNX", "digest": digest, "objective": "Latency", "versionPolicy": {"latest": {"count": 2}}}
    (model,) = preparation(models=[{**OWN, **fields}], gpu={"count": 2}).models
    assert (model.format, model.digest) == ("ONNX", digest)
    assert model.tuning == TuningInputs(gpus=2, objective="Latency")
    assert model.version_policy
    assert model.version_policy.latest
    assert model.version_policy.latest.count == 2


def test_a_users_config_map_is_mounted_with_the_operators() -> None:
    """It is optional for the kubelet, because `prepare` reports the model and the missing key."""
    projected = volumes(models=[TYPED, BY_HAND])["config"]["projected"]
    ours, theirs = (source["configMap"] for source in projected["sources"])
    assert ours == {"name": children(models=[TYPED, BY_HAND])["ConfigMap"]["metadata"]["name"]}
    assert theirs == {"name": "mine", "items": [{"key": "words.pbtxt", "path": "1.pbtxt"}], "optional": True}


def test_without_a_users_config_map_the_volume_is_the_operators() -> None:
    """As in pods of earlier versions."""
    assert volumes(models=[TYPED])["config"].keys() == {"name", "configMap"}


def test_a_projected_config_map_counts_as_used() -> None:
    """Pruning must not delete it while an old ReplicaSet mounts it."""
    import msgspec

    deployment = children(models=[TYPED, BY_HAND])["Deployment"]
    replica_set = msgspec.Raw(msgspec.json.encode({"spec": {"template": deployment["spec"]["template"]}}))
    name = children(models=[TYPED, BY_HAND])["ConfigMap"]["metadata"]["name"]
    assert mounted([replica_set]) >= {(Kind.CONFIG_MAP, name), (Kind.CONFIG_MAP, "mine")}


def test_all_children_are_valid_for_kubernetes() -> None:
    """With every kind of configuration."""
    for child in children(models=[OWN, TYPED, BY_HAND, PIPELINE]).values():
        kubernetes_validate.validate(child, "1.35", strict=True)


def test_a_model_with_a_response_cache_gets_a_server_with_a_cache() -> None:
    """Otherwise, Triton would ignore the field; a user's size takes precedence."""
    caching = {**TYPED, "config": {**TYPED["config"], "responseCache": True}}

    def arguments(**spec: Any) -> list[str]:
        pod = children(**spec)["Deployment"]["spec"]["template"]["spec"]
        return [each for each in pod["containers"][0]["args"] if each.startswith("--cache-config")]

    assert arguments(models=[TYPED]) == []
    assert arguments(models=[TYPED, {**caching, "name": "other"}]) == ["--cache-config=local,size=67108864"]
    own = "--cache-config=local,size=1048576"
    assert arguments(models=[caching], triton={"extraArgs": [own]}) == [own]


def test_shared_memory_follows_the_typed_tensors() -> None:
    """Three million pixels of four bytes, batches of 64, four copies, and a margin of one step."""
    wide = {"resources": {"limits": {"memory": "64Gi"}}}
    assert volumes(models=[TYPED], **wide)["shm"]["emptyDir"]["sizeLimit"] == "3200Mi"
    assert volumes(models=[OWN], **wide)["shm"]["emptyDir"]["sizeLimit"] == "256Mi"


CATALOGUE = Settings(
    operator_image="o:1",
    images=(
        CatalogueImage("gpu:26.11", "26.11", ("pytorch", "python", "onnxruntime"), default=True),
        CatalogueImage("lean:26.11", "26.10", ("pytorch",)),
        CatalogueImage("old:24.10", "24.10", ("pytorch", "python")),
        CatalogueImage("silent:24.10", "24.09"),
        CatalogueImage("own:24.10", "24.08", ("python", "aotinductor")),
    ),
)


def refusal(model_format: str, **triton: Any) -> InvalidSpecError:
    """The error for a second model of this format."""
    deployment = a_deployment(models=[OWN, {"name": "other", "format": model_format}], triton=triton)
    with pytest.raises(InvalidSpecError) as refused:
        render(deployment, CATALOGUE)
    assert (refused.value.reason, refused.value.path) == ("UnsupportedByImage", "spec.models[1].format")
    return refused.value


@pytest.mark.parametrize(
    ("model_format", "version", "words"),
    [
        (
            "ONNX",
            "24.10",
            "ONNX requires Triton's backend onnxruntime, but the image old:24.10 has only pytorch, python",
        ),
        ("Python", "26.10", "Python requires Triton's backend python, but the image lean:26.11 has only pytorch"),
        ("AOTInductor", "24.10", "AOTInductor requires Triton 26.03 or newer, but the image old:24.10 has 24.10"),
    ],
)
def test_a_format_that_the_image_cannot_run_is_rejected_before_a_pod_is_created(
    model_format: str, version: str, words: str
) -> None:
    """The message contains the format, the image and its backends."""
    assert words in str(refusal(model_format, version=version))


def test_the_catalogue_describes_a_users_image_that_it_lists() -> None:
    """Including its backends and its release."""
    assert "old:24.10 has only" in str(refusal("ONNX", image="old:24.10"))
    assert "requires Triton 26.03 or newer" in str(refusal("AOTInductor", image="silent:24.10"))


@pytest.mark.parametrize(
    ("model_format", "triton"),
    [
        ("ONNX", {}),
        ("AOTInductor", {}),
        ("AOTInductor", {"version": "24.08"}),
        ("Ensemble", {"version": "26.10"}),
        ("ONNX", {"image": "registry.example.com/mine:1"}),
        ("ONNX", {"image": "silent:24.10"}),
    ],
)
def test_a_format_that_the_image_supports_or_may_support_is_rendered(model_format: str, triton: dict[str, str]) -> None:
    """For an image that the catalogue does not list, only Triton can determine it."""
    assert render(a_deployment(models=[{"name": "other", "format": model_format}], triton=triton), CATALOGUE)


def test_the_request_contains_the_images_backend_for_compiled_files() -> None:
    """For compiled files, and for files whose format only the repository specifies."""
    models = [{"name": "a", "format": "AOTInductor"}, {"name": "b", "format": "Python"}, {"name": "c"}]
    for version, backend in (("24.08", "aotinductor"), ("26.11", "")):
        request = preparation(CATALOGUE, models=models, triton={"version": version})
        assert [each.aotinductor_backend for each in request.models] == [backend, "", backend]


def test_a_typed_configuration_without_a_format_is_torchscript() -> None:
    """So its backend is known, too."""
    python_only = Settings("o:1", (CatalogueImage("p:26.11", "26.11", ("python",), default=True),))
    with pytest.raises(InvalidSpecError, match="TorchScript requires Triton's backend pytorch"):
        render(a_deployment(models=[TYPED]), python_only)
    assert render(a_deployment(models=[OWN]), python_only)


def test_a_contradiction_in_a_configuration_is_rejected_before_a_pod_is_created() -> None:
    """The API server's rules cannot count the elements of a reshape."""
    tensor = {"name": "INPUT__0", "dataType": "FP32", "dims": [4], "reshape": [3]}
    model = {"name": "other", "config": {"inputs": [tensor]}}
    with pytest.raises(InvalidSpecError, match=r"inputs\[0\].reshape: \[3\] does not have the same number") as refused:
        render(a_deployment(models=[OWN, model]), SETTINGS)
    assert refused.value.path == "spec.models[1].config"
