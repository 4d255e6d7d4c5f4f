"""Models served on this machine by `tritonctl run` from an installed wheel, with a real Triton.

The first start downloads 1 GB into the cache folder, which takes minutes; later starts take seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc
import tritonclient.http
import yaml
from tritonclient.utils import InferenceServerException

from tests.local.session import Serving, Terminal, User, command_lines, left_over
from training.digits import DigitsNetwork
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.client import Client

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "model_repository"
CTRL_C = b"\x03"
TOLERANCE = 1e-5
pytestmark = pytest.mark.timeout(900)  # The first test may download the server.


def eager(images: torch.Tensor) -> np.ndarray:
    """Return the output of the network in eager PyTorch with the committed weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load is deprecated.
        weights = torch.jit.load(str(MODELS / "digits" / "1" / "model.pt"))  # type: ignore[no-untyped-call]
    network = DigitsNetwork().eval()
    network.load_state_dict(weights.state_dict())
    with torch.inference_mode():
        return np.asarray(network(images).numpy())


@pytest.fixture(scope="module")
def digits(user: User) -> Iterator[Serving]:
    """Start a server with one model, for tests that only send requests."""
    with user.serving(MODELS / "digits") as serving:
        yield serving


def test_three_commands_lead_from_a_wheel_to_an_answer(user: User, digits: Serving) -> None:
    """Install the wheel, serve the model, and run the command that is printed."""
    answer = user.tritonctl(*digits.command)
    assert answer.returncode == 0, answer.stderr
    assert "OUTPUT__0" in answer.stdout


@pytest.mark.parametrize("protocol", Protocol)
def test_a_served_model_answers_as_the_network_itself(digits: Serving, protocol: Protocol) -> None:
    """Compare a batch and a single image."""
    images = torch.rand((5, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    url = digits.grpc if protocol is Protocol.GRPC else digits.http
    with Client("digits", protocol=protocol, url=url) as client:
        for batch in (images, images[:1]):
            answer = client.infer("digits", {"INPUT__0": batch.numpy()})
            np.testing.assert_allclose(answer.outputs["OUTPUT__0"], eager(batch), atol=TOLERANCE)


def test_the_example_is_served_from_the_folder_beside(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its image cannot be pulled, and the working directory has a `model_repository` with both models."""
    monkeypatch.chdir(ROOT)
    with user.serving("examples/two-models.yaml", "--cpus", "1") as serving:
        for model in ("digits", "linear_regression"):
            assert f"  {model}  version 1\n" in serving.output
        _, errors = serving.end(signal.SIGINT)
        assert "using the models in model_repository instead of spec.modelRepository" in errors
        assert "instances and threads are chosen for 1 CPU; use --cpus N to change this" in errors


def test_two_servers_run_at_the_same_time(user: User) -> None:
    """The second uses other ports and prints them; each ends independently of the other."""
    with user.serving(MODELS / "linear_regression") as first, user.serving(MODELS / "linear_regression") as second:
        assert first.http != second.http
        first.end(signal.SIGINT)
        answer = user.tritonctl(*second.command)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_way_of_ending_it_cleans_up(user: User, number: signal.Signals) -> None:
    """After Ctrl-C, `kill` and SIGHUP, no process, shared memory or folder of the run is left."""
    with user.serving(MODELS / "linear_regression") as serving:
        run = serving.run
        assert len(left_over(run)) >= 3
        code, errors = serving.end(number)
    assert (code, "Traceback" in errors) == (0, False)
    assert left_over(run) == []
    assert user.cache / "runs" / run not in user.runs()


@pytest.mark.parametrize("end", [lambda terminal: terminal.type(CTRL_C), Terminal.close], ids=["Ctrl-C", "closed"])
def test_a_terminal_ends_it_by_a_key_and_by_being_closed(user: User, end: Callable[[Terminal], object]) -> None:
    """Ctrl-C signals only the command, which lets the server finish; writing to a closed terminal fails."""
    with user.at_terminal(MODELS / "linear_regression") as terminal:
        run = terminal.run
        assert len(left_over(run)) >= 3
        end(terminal)
    assert left_over(run) == []
    assert user.cache / "runs" / run not in user.runs()


def test_an_idle_connection_does_not_hold_up_the_end(user: User) -> None:
    """Triton alone would wait 30 s for an idle connection."""
    with user.serving(MODELS / "linear_regression") as serving:
        host, _, port = serving.http.rpartition(":")
        with socket.create_connection((host, int(port))) as idle:
            idle.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            code, _ = serving.end(signal.SIGINT)
            assert idle.recv(1) == b"", "the connection was closed, and not the server killed around it"
    assert code == 0


def test_an_interrupted_first_start_leaves_no_half_environment(user: User, tmp_path: Path) -> None:
    """The installer is terminated and its downloads are removed."""
    environment = user.environment | {"TRITON_OPERATOR_CACHE": str(tmp_path)}
    command = [str(user.folder / "tritonctl"), "run", str(MODELS / "digits")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert any("Downloading Triton" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=180)[1]
    assert (process.returncode, "Traceback" in errors) == (130, False)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["environment.lock", "all.lock"]
    assert not any(str(tmp_path) in words for words in command_lines())


def test_a_killed_command_takes_its_server_along(user: User) -> None:
    """The server ends with its parent, and the next command removes the folder of the run."""
    with user.serving(MODELS / "linear_regression") as serving:
        run = serving.run
        serving.process.kill()
        serving.process.communicate()
        end = time.monotonic() + 180
        while any("tritonserver" in each for each in left_over(run)):
            assert time.monotonic() < end, left_over(run)
            time.sleep(0.05)
    assert user.cache / "runs" / run in user.runs()
    with user.serving(MODELS / "linear_regression"):
        assert user.cache / "runs" / run not in user.runs()
    assert left_over(run) == []


def test_a_start_with_everything_there_fetches_and_compiles_nothing(user: User) -> None:
    """Python would write compiled files next to the modules of torch."""
    with user.serving(MODELS / "digits") as first:
        first.end(signal.SIGINT)
    before = _kept(user)
    assert any("torch" in path.parts for path in before)
    with user.serving(MODELS / "digits") as serving:
        _, errors = serving.end(signal.SIGINT)
    assert [line[0] for line in errors.splitlines() if line.startswith(("✓", "✗"))] == ["✓"]
    assert _kept(user) == before


def _kept(user: User) -> dict[Path, int]:
    """Return the compiled modules in the cache of `run`, with their modification times."""
    return {path: path.stat().st_mtime_ns for path in user.cache.rglob("*.pyc")}


def test_a_model_that_does_not_load_is_reported_in_tritons_words(user: User, tmp_path: Path) -> None:
    """The exit status is 1, and no process or folder is left."""
    name = f"broken_{os.getpid()}"
    shutil.copytree(ROOT / "tests" / "models" / "not_torchscript", tmp_path / name)
    config = tmp_path / name / "config.pbtxt"
    config.write_text(config.read_text().replace("not_torchscript", name))
    body = {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "broken"},
        "spec": {"modelRepository": {"image": {"reference": "m:1"}}, "models": [{"name": name}]},
    }
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(body))
    done = user.tritonctl("run", tmp_path / "file.yaml", "--repository", tmp_path)
    assert done.returncode == 1
    assert "Triton did not start" in done.stderr
    assert "not TorchScript: export it with torch.jit.script" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(f"/models/{name}/" in words for words in command_lines())
    assert not any((run / "models" / name).exists() for run in user.runs())


def test_a_model_process_that_dies_ends_the_command(user: User) -> None:
    """Triton alone would continue to run and return errors."""
    with user.serving(MODELS / "linear_regression") as serving:
        run = serving.run
        (stub,) = _stubs(serving)
        subprocess.run(["kill", "-KILL", str(stub)], check=True)
        _, errors = serving.process.communicate(timeout=180)
        assert serving.process.returncode == 1
        assert "the process of model 'linear_regression' died: signal 9" in errors
    assert left_over(run) == []


def _stubs(serving: Serving) -> list[int]:
    """Return the model processes of a server, which the folder in their command lines identifies."""
    results = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].endswith("triton_python_backend_stub") and f"/{serving.run}/" in words[0]:
            results.append(int(place.parent.name))
    return results


def test_texts_go_through_python_models_and_ensembles(user: User, tmp_path: Path) -> None:
    """A TorchScript model is served too; the suggested command sends a text to the ensemble."""
    for name, config in {"upper": UPPER_CONFIG, "shout": SHOUT_CONFIG}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.pbtxt").write_text(config)
    (tmp_path / "upper" / "1").mkdir()
    (tmp_path / "upper" / "1" / "model.py").write_text(UPPER)
    shutil.copytree(MODELS / "linear_regression", tmp_path / "linear_regression")
    with user.serving(tmp_path) as serving:
        with Client("upper", url=serving.http) as client:
            answer = client.infer("upper", {"TEXT": np.array([["我爱 you"]], dtype=object)})
        assert [bytes(each).decode() for each in answer.outputs["OUT"].ravel()] == ["我爱 YOU"]
        tried = user.tritonctl(*serving.command)
        assert "infer shout" in serving.output
        assert "HELLO" in tried.stdout, tried.stderr
    with user.serving(tmp_path / "shout") as alone:
        assert "HELLO" in user.tritonctl(*alone.command).stdout
        assert "linear_regression" not in alone.output


UPPER = """
import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        texts = [pb.get_input_tensor_by_name(request, "TEXT").as_numpy() for request in requests]
        upper = [np.vectorize(lambda text: text.decode().upper().encode(), otypes=[object])(each) for each in texts]
        return [pb.InferenceResponse([pb.Tensor("OUT", each)]) for each in upper]
"""
UPPER_CONFIG = """
backend: "python"
max_batch_size: 8
input { name: "TEXT" data_type: TYPE_STRING dims: 1 }
output { name: "OUT" data_type: TYPE_STRING dims: 1 }
"""
SHOUT_CONFIG = """
platform: "ensemble"
max_batch_size: 8
input { name: "SAID" data_type: TYPE_STRING dims: 1 }
output { name: "SHOUTED" data_type: TYPE_STRING dims: 1 }
ensemble_scheduling { step {
  model_name: "upper" model_version: -1
  input_map { key: "TEXT" value: "SAID" }
  output_map { key: "OUT" value: "SHOUTED" }
} }
"""


ASKING = [("get_inference_statistics", "digits"), ("get_model_config", "digits")]
ADMINISTERING = [
    ("get_model_repository_index",),
    ("load_model", "digits"),
    ("get_log_settings",),
    ("get_trace_settings",),
    ("get_system_shared_memory_status",),
]


def test_what_is_closed_answers_403_and_unavailable(user: User, digits: Serving, tmp_path: Path) -> None:
    """Statistics and configurations are open only if the object opens them; administrative APIs are always closed."""
    body = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    body["spec"]["triton"] = {"openEndpoints": ["Statistics", "ModelConfig"]}
    file = tmp_path / "open.yaml"
    file.write_text(yaml.safe_dump(body))
    for protocol in (tritonclient.http, tritonclient.grpc):
        closed = "403" if protocol is tritonclient.http else "StatusCode.UNAVAILABLE"
        with protocol.InferenceServerClient(_address(digits, protocol)) as client:
            assert {_status(client, *call) for call in (*ASKING, *ADMINISTERING)} == {closed}
    with user.serving(file, "--repository", MODELS) as serving:
        for protocol in (tritonclient.http, tritonclient.grpc):
            closed = "403" if protocol is tritonclient.http else "StatusCode.UNAVAILABLE"
            with protocol.InferenceServerClient(_address(serving, protocol)) as client:
                assert {_status(client, *call) for call in ASKING} == {"open"}
                assert {_status(client, *call) for call in ADMINISTERING} == {closed}


def _address(serving: Serving, protocol: Any) -> str:
    return serving.http if protocol is tritonclient.http else serving.grpc


def _status(client: Any, method: str, *arguments: str) -> str:
    """Return the status of a rejected call, or "open"."""
    try:
        getattr(client, method)(*arguments)
    except InferenceServerException as error:
        return str(error.status())
    return "open"
