"""A model returns the same results through the Service as in PyTorch: over HTTP, over gRPC, and with curl."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import serve
from tests.volumes import claimed_folder
from training.verify import verify

ECHO = Path(__file__).parents[1] / "models" / "echo"
MODELS = ("digits", "linear_regression")
TEXTS = ["我爱你", "hello", "", "你好呀"]


@pytest.fixture(scope="module", autouse=True)
def served(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    """Serve both models of the repository, each in a separate deployment; the namespace's deletion removes them."""
    kube.apply(*(model_deployment(model) for model in MODELS))
    for model in MODELS:
        kube.wait_ready(model.replace("_", "-"))


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_answers_are_those_of_eager_pytorch_over_http_and_grpc(model: str, node: RunningCluster, kube: Kube) -> None:
    service = model.replace("_", "-")
    with serve(node, kube, service) as served, served.http() as http, served.grpc() as grpc:
        report = verify(model, http, grpc)
    assert set(report.differences) == {"HTTP", "gRPC"}
    assert report.passed, report.lines()


def test_curl_gets_an_answer(node: RunningCluster, kube: Kube) -> None:
    request = {"inputs": [{"name": "INPUT__0", "shape": [1, 2], "datatype": "FP32", "data": [9, 10]}]}
    with serve(node, kube, "linear-regression") as served:
        answer = served.curl("v2/models/linear_regression/infer", "--fail", "--data", json.dumps(request))
    assert json.loads(answer)["outputs"][0]["data"][0] == pytest.approx(5, abs=0.2)


def test_status_names_versions_and_digests(model: str, kube: Kube) -> None:
    body = kube.get("modeldeployment", model.replace("_", "-"))
    assert body
    entry = body["status"]["models"][0]
    assert (entry["name"], entry["versions"], entry["state"]) == (model, ["1"], "Ready")
    assert entry["digest"].startswith("sha256:")


def test_admin_apis_are_closed_to_everybody(node: RunningCluster, kube: Kube) -> None:
    with serve(node, kube, "digits") as served:
        assert served.status_code("v2/models/digits") == 200
        for path in ("v2/repository/index", "v2/logging", "v2/systemsharedmemory/status", "v2/models/digits/config"):
            method = "POST" if path.endswith("index") else "GET"
            assert served.status_code(path, "--request", method) in {403, 404}, path


def test_texts_and_truth_values_come_back_unchanged(node: RunningCluster, kube: Kube, echo: str) -> None:
    flags = np.array([True, False, True])
    texts = np.array([text.encode() for text in TEXTS], dtype=np.object_)
    with serve(node, kube, echo) as served, served.http() as http, served.grpc() as grpc:
        for protocol, client in ((tritonclient.http, http), (tritonclient.grpc, grpc)):
            inputs = [
                protocol.InferInput("INPUT__0", [len(texts)], "BYTES"),
                protocol.InferInput("INPUT__1", [len(flags)], "BOOL"),
            ]
            inputs[0].set_data_from_numpy(texts)
            inputs[1].set_data_from_numpy(flags)
            answer = client.infer("echo", inputs)
            assert [text.decode() for text in answer.as_numpy("OUTPUT__0")] == TEXTS
            assert answer.as_numpy("OUTPUT__1").tolist() == flags.tolist()


@pytest.fixture
def echo(node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object]) -> Iterator[str]:
    """Serve the echo model from a claim."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    with claimed_folder(node, kube, "echo") as folder:
        shutil.copytree(ECHO, folder / "echo")
        kube.apply(model_deployment("echo", modelRepository={"pvc": {"claimName": "echo"}}))
        kube.wait_ready("echo")
        yield "echo"
        kube.delete("modeldeployment", "echo")
