"""The signature in a model file, on a real node: it replaces a configuration, and it reveals a wrong one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import serve
from tests.volumes import claim_manifest, volume_manifest
from training import REPOSITORY
from training.verify import verify

MODEL = "linear_regression"
CLAIM = "signature"


@pytest.fixture(scope="module", autouse=True)
def claim(node: RunningCluster, kube: Kube) -> Iterator[None]:
    """Create a claim with only the model file, without config.pbtxt."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folder = node.host_path / CLAIM
    file = folder / MODEL / "1" / "model.pt"
    file.parent.mkdir(parents=True)
    shutil.copyfile(Path(REPOSITORY, MODEL, "1", "model.pt"), file)
    volume = volume_manifest(CLAIM, kube.namespace, f"{node.node_path}/{CLAIM}")
    kube.apply(volume, claim_manifest(CLAIM))
    yield
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


def test_a_model_is_served_by_its_signature_and_pinned_by_its_digest(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object]
) -> None:
    """A correct digest is served from a copy; a wrong digest is not served. The folder has no config.pbtxt."""
    source = {"pvc": {"claimName": CLAIM}}
    kube.apply(model_deployment(MODEL, modelRepository=source))
    ready = kube.wait_ready("linear-regression")
    with serve(node, kube, "linear-regression") as served, served.http() as http, served.grpc() as grpc:
        report = verify(MODEL, http, grpc)
    assert report.passed, report.lines()
    digest = ready["status"]["models"][0]["digest"]
    kube.apply(model_deployment(MODEL, modelRepository=source, models=[{"name": MODEL, "digest": digest}]))
    kube.wait_ready("linear-regression")
    wrong = f"sha256:{'0' * 64}"
    kube.apply(model_deployment(MODEL, modelRepository=source, models=[{"name": MODEL, "digest": wrong}]))
    message = kube.wait_reason("linear-regression", "DigestMismatch")["message"]
    assert wrong in message
    assert digest in message


def test_a_typed_config_that_contradicts_the_model_names_both_sides(
    kube: Kube, model_deployment: Callable[..., Object]
) -> None:
    """The error is reported before Triton starts."""
    config = {"inputs": [{"name": "INPUT__0", "dataType": "FP32", "dims": [64]}]}
    body = model_deployment(MODEL, models=[{"name": MODEL, "config": config}])
    body["metadata"]["name"] = "contradicts"
    kube.apply(body)
    message = kube.wait_reason("contradicts", "ConfigInvalid")["message"]
    assert "INPUT__0 as FP32 [64], but the model's signature declares FP32 [2]" in message
    kube.patch("modeldeployment", "contradicts", {"spec": {"models": [{"name": MODEL}]}})
    kube.wait_ready("contradicts")
