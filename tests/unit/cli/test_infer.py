"""`tritonctl infer`: requests and responses over both protocols, and all errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.fake_cluster import FakeCluster
from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.tritonctl import tritonctl
from triton_operator.cli.cluster.server import main_models

REQUEST = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [9, 10.5]}]}
SERVERS = {"http": http_server, "grpc": grpc_server}


def write(folder: Path, request: Any = REQUEST) -> Path:
    """A request file."""
    file = folder / "request.json"
    file.write_text(json.dumps(request))
    return file


@pytest.mark.parametrize("protocol", SERVERS)
@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_protocols_own_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str, form: str, load: Any
) -> None:
    """The JSON is the same over HTTP and gRPC."""
    with SERVERS[protocol]() as url:
        outcome = tritonctl(capsys, "infer", "echo", "-i", write(tmp_path), "-p", protocol, "--url", url, "-o", form)
    assert outcome.code == 0, outcome.err
    outputs = [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [9.0, 10.5]}]
    assert load(outcome.out) == {"model_name": "echo", "model_version": "1", "outputs": outputs}


def test_the_text_output_is_a_table_with_the_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Long outputs are truncated, and the table says so."""
    many = {"inputs": [{"name": "x", "shape": [12], "datatype": "INT32", "data": list(range(12))}]}
    with http_server() as url:
        outcome = tritonctl(capsys, "infer", "echo", "-i", write(tmp_path, many), "--url", url)
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (12 values)" in outcome.out
    assert "echo version 1 responded over HTTP in" in outcome.out


def test_the_only_model_needs_no_name(capsys: pytest.CaptureFixture[str], tmp_path: Path, cluster: FakeCluster) -> None:
    """It is looked up, through a port that kubectl forwards."""
    cluster.answer({"metadata": {"name": "other-name"}, "spec": {"models": [{"name": "echo"}]}})
    with http_server() as url:
        cluster.forward(url)
        outcome = tritonctl(capsys, "infer", "other-name", "-n", "models", "-i", write(tmp_path), "-o", "json")
    assert json.loads(outcome.out)["model_name"] == "echo"
    assert any("port-forward" in call and "service/other-name" in call for call in cluster.calls)


def test_several_models_need_a_choice(capsys: pytest.CaptureFixture[str], tmp_path: Path, cluster: FakeCluster) -> None:
    """The message lists them."""
    cluster.answer({"metadata": {"name": "pair"}, "spec": {"models": [{"name": "a"}, {"name": "b"}]}})
    outcome = tritonctl(capsys, "infer", "pair", "-i", write(tmp_path))
    assert (outcome.code, outcome.err) == (2, "error: --model: pair has several models; select one of a, b\n")


def test_a_rejected_request_is_exit_status_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With the server's message."""
    with http_server() as url:
        outcome = tritonctl(capsys, "infer", "echo", "-m", "broken", "-i", write(tmp_path), "--url", url)
    assert outcome.code == 1
    assert "expected 2 dimensions" in outcome.err


def test_a_bad_file_is_exit_status_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Before a connection is opened."""
    bad = {"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [1]}]}
    outcome = tritonctl(capsys, "infer", "echo", "-i", write(tmp_path, bad), "--url", "127.0.0.1:1")
    assert outcome.code == 2
    assert "request.json: inputs[0].shape: [3] has 3 values, but data has 1" in outcome.err


@pytest.mark.parametrize("protocol", SERVERS)
def test_an_unreachable_server_is_exit_status_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str
) -> None:
    """The message contains the address."""
    with SERVERS[protocol]() as url:
        pass
    outcome = tritonctl(capsys, "infer", "echo", "-i", write(tmp_path), "-p", protocol, "--url", url, "--timeout", "3")
    assert outcome.code == 3
    assert url in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("protocol", SERVERS)
def test_an_image_is_converted_to_the_declared_tensor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str
) -> None:
    """The metadata is read over the same protocol; two images are two rows."""
    for name, grey in (("a.png", 255), ("b.png", 51)):
        Image.new("L", (40, 40), grey).save(tmp_path / name)
    files = ["-i", tmp_path / "a.png", "-i", tmp_path / "b.png"]
    with SERVERS[protocol]() as url:
        outcome = tritonctl(capsys, "infer", "digits", *files, "-p", protocol, "--url", url)
        data = tritonctl(capsys, "infer", "digits", *files, "-p", protocol, "--url", url, "-o", "json")
    assert outcome.code == 0, outcome.err
    assert [line.split()[-3] for line in outcome.out.splitlines()[1:3]] == ["…", "…"]
    assert "0.2, 0.2" in outcome.out
    (output,) = json.loads(data.out)["outputs"]
    assert output["shape"] == [2, 1, 28, 28]
    assert set(output["data"][:784]) == {1.0}


@pytest.mark.parametrize(
    ("deployment", "names", "chosen"),
    [("chinese-texts", ["chinese_texts", "tokenizer"], ["chinese_texts"]), ("x", ["a", "b"], ["a", "b"])],
)
def test_a_model_that_is_called_like_its_deployment_is_meant(
    deployment: str, names: list[str], chosen: list[str]
) -> None:
    """Object names cannot contain underscores, model names often do."""
    models = [{"name": name} for name in names]
    assert [model["name"] for model in main_models(models, deployment)] == chosen


def test_texts_go_to_the_ensemble_among_several_models(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    """The other models are its steps."""
    models = [{"name": "tokenizer"}, {"name": "network"}, {"name": "sentiment", "format": "Ensemble"}]
    cluster.answer({"metadata": {"name": "words"}, "spec": {"models": models}})
    backend = Backend(models={"sentiment": Model({"TEXT": ("BYTES", [-1, 1])})})
    with http_server(backend) as url:
        cluster.forward(url)
        outcome = tritonctl(capsys, "infer", "words", "-t", "我爱你", "-t", "no", "-o", "json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["outputs"][0]["data"] == ["我爱你", "no"]
    assert (len(cluster.requests), len(cluster.calls)) == (2, 1), "its models, its address; one port-forward"


def test_a_file_that_does_not_fit_the_model_is_exit_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before it is sent."""
    file = tmp_path / "a.csv"
    file.write_text("1,2,3\n")
    backend = Backend()
    with http_server(backend) as url:
        outcome = tritonctl(capsys, "infer", "digits", "-i", file, "--url", url)
    assert outcome.code == 2
    assert "a.csv: has 3 columns, but a row of INPUT__0 (FP32 [-1,1,28,28]) has 784 values" in outcome.err
    assert backend.inferences == 0


def test_a_model_that_the_server_does_not_have(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The server's message, without a traceback."""
    with http_server() as url:
        outcome = tritonctl(capsys, "infer", "digits", "-m", "other", "-t", "x", "--url", url)
    assert outcome.code == 1
    assert "other" in outcome.err
    assert len(outcome.err.splitlines()) == 1
