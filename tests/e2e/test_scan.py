"""A model that writes files: refused before Triton loads it, or served with its findings in the status."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tritonclient.http

from hack.cluster.handle import RunningCluster
from tests.archives import with_statements
from tests.kube import Kube, Object
from tests.paths import ROOT
from tests.served import serve
from tests.volumes import claim_manifest, volume_manifest

LINEAR = ROOT / "model_repository" / "linear_regression"
WRITES = '_9 = getattr(torch, "sa" "ve")([1], "/tmp/planted")'
"""Hides the operator, and writes a file in Triton's container on every request."""


@pytest.fixture
def planted(node: RunningCluster, kube: Kube) -> Iterator[Object]:
    """Create a claim with the changed model; return it as a model repository."""
    assert node.host_path
    folder = node.host_path / "planted" / "linear_regression"
    shutil.copytree(LINEAR, folder)
    file = folder / "1" / "model.pt"
    file.write_bytes(with_statements(file.read_bytes(), WRITES))
    manifest = volume_manifest("planted", kube.namespace, f"{node.node_path}/planted")
    kube.apply(claim_manifest("planted"), manifest)
    yield {"pvc": {"claimName": "planted"}}
    kube.delete("persistentvolume", manifest["metadata"]["name"], wait=False)
    shutil.rmtree(folder.parent)


def test_a_model_that_writes_files_is_refused_and_served_only_with_warnings(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], planted: Object
) -> None:
    """With Warn, the model runs: this is the control that Triton would load it."""
    name = "planted"
    models = [{"name": "linear_regression"}]
    privacy, refuse = {"profile": "Open"}, {"scan": "Refuse"}
    kube.apply(model_deployment(name, modelRepository=planted, models=models, privacy=privacy, verification=refuse))
    refused = kube.wait_reason(name, "ModelScanRefused", seconds=300)
    assert "model linear_regression: 1/model.pt: code/" in refused["message"]
    assert "hides the name of an attribute (getattr)" in refused["message"]
    kube.patch("modeldeployment", name, {"spec": {"verification": {"scan": "Warn"}}})
    (status,) = kube.wait_ready(name, 240)["status"]["models"]
    assert status["scan"]["total"] == 2  # Two files of code have a forward().
    assert status["scan"]["findings"][0]["kind"] == "Operator"
    with serve(node, kube, name) as served, served.http() as client:
        numbers = tritonclient.http.InferInput("INPUT__0", [1, 2], "FP32")
        numbers.set_data_from_numpy(np.array([[9, 10]], np.float32))
        assert client.infer("linear_regression", [numbers]).as_numpy("OUTPUT__0")[0] == pytest.approx(5, abs=0.2)
    kube.delete("modeldeployment", name, wait=False)
