"""`tritonctl bench`: which requests are counted, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_cluster import FakeCluster
from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.tritonctl import tritonctl
from triton_operator.cli.bench.load import run
from triton_operator.cli.bench.result import percentile
from triton_operator.cli.bench.wire import connections, raw
from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.random_inputs import random_inputs
from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.interface import ModelInterface, TensorInterface, fits
from triton_operator.sdk.protocol_json import RequestBody
from triton_operator.sdk.tensors import DATA_TYPES

SERVERS = {"http": http_server, "grpc": grpc_server}
QUICK = ("--duration", "0.6", "--warm-up", "0.2", "--connections", 2)


def models() -> Backend:
    """A server with a model of several types."""
    return Backend(models={"mixed": Model({"a": ("FP32", [-1, 3]), "t": ("BYTES", [-1, 1]), "b": ("BOOL", [-1, 1])})})


@pytest.mark.parametrize("protocol", SERVERS)
def test_inputs_are_generated_from_the_declared_tensors(capsys: pytest.CaptureFixture[str], protocol: str) -> None:
    """Over both protocols, with the requested number of rows."""
    with SERVERS[protocol](models()) as url:
        outcome = tritonctl(capsys, "bench", "mixed", "--url", url, "-p", protocol, "--batch", 4, *QUICK, "-o", "json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert (report["rows"], report["failed"], report["connections"], report["protocol"]) == (4, 0, 2, protocol)
    assert report["requests"] > 0
    assert report["requestsPerSecond"] == pytest.approx(report["requests"] / report["seconds"], rel=0.01)
    assert 0 < report["p50Ms"] <= report["p90Ms"] <= report["p99Ms"] <= report["maxMs"]


def test_the_text_output_is_a_line_of_figures(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    """It names the conditions; the same port-forward is used for the metadata and the load."""
    cluster.answer({"metadata": {"name": "digits"}, "spec": {"models": [{"name": "mixed"}]}})
    with http_server(models()) as url:
        cluster.forward(url)
        outcome = tritonctl(capsys, "bench", "digits", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "mixed: 2 connections over HTTP for 0.6 s, 1 row per request" in outcome.out
    assert "one pod only, and the latencies include kubectl's overhead" in outcome.out
    assert sum("port-forward" in call for call in cluster.calls) == 1


def test_an_invalid_request_is_reported_once_before_the_load(capsys: pytest.CaptureFixture[str]) -> None:
    """The server receives only one request."""
    backend = models()
    backend.models["mixed"].most_rows = 2
    with http_server(backend) as url:
        outcome = tritonctl(capsys, "bench", "mixed", "--url", url, "--batch", 4, *QUICK)
        assert backend.inferences == 1
    assert outcome.code == 1
    assert "batch-size must be <= 2" in outcome.err


def test_failures_under_load_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The output contains the server's message, and the exit status is 1."""
    backend = models()

    def later() -> None:
        while backend.inferences < 3:
            time.sleep(0.01)
        backend.models["mixed"].most_rows = 0

    thread = threading.Thread(target=later)
    with http_server(backend) as url:
        thread.start()
        outcome = tritonctl(
            capsys, "bench", "mixed", "--url", url, "--duration", "1", "--warm-up", 0, "-c", 1, "-o", "json"
        )
        thread.join()
    report = json.loads(outcome.out) if outcome.out else {}
    assert outcome.code == 1
    assert report.get("failed", 1) > 0
    assert "failed" in outcome.err or "batch-size" in outcome.err


def test_an_unreachable_server_is_exit_status_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Over both protocols."""
    request = tmp_path / "a.json"
    request.write_text('{"inputs": [{"name": "a", "shape": [1], "datatype": "FP32", "data": [1]}]}')
    for protocol, server in SERVERS.items():
        with server() as url:
            pass
        outcome = tritonctl(capsys, "bench", "x", "--url", url, "-p", protocol, "-i", request, "--timeout", 3, *QUICK)
        assert outcome.code == 3
        assert url in outcome.err


def test_ctrl_c_ends_it_immediately_with_the_results_so_far() -> None:
    """The exit status is that of an interruption."""
    backend = models()
    with http_server(backend) as url:
        command = [sys.executable, "-m", "triton_operator.cli", "bench", "mixed", "--url", url]
        command += ["--duration", "120", "--warm-up", "0", "-o", "json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while backend.inferences < 50 and process.poll() is None:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["interrupted"] is True
    assert "Traceback" not in err


def test_a_call_over_grpc_that_is_not_answered_in_time_is_not_cancelled() -> None:
    """Triton 24.10 would crash, so the load waits at the end for calls in flight."""
    backend = models()
    backend.hold = threading.Event()
    with grpc_server(backend) as url:
        request = RequestBody({"a": np.zeros((1, 2), np.float32)})
        connect = connections(ServerAddress(url), Protocol.GRPC, "mixed", request, 0.2)
        threading.Timer(1.0, backend.hold.set).start()
        measured = run(connect, number=2, warm_up=0, seconds=0.3, patience=60)
    assert not backend.call_cancelled.is_set()
    assert not measured.errors


def test_a_call_over_grpc_without_a_response_is_reported() -> None:
    """After the requested patience."""
    answered = threading.Event()

    def send() -> str:
        answered.wait(60)
        return ""

    measured = run(lambda: nullcontext(send), number=1, warm_up=0, seconds=0.1, patience=0.6)
    answered.set()
    assert measured.errors == {"no response within 0.6 s": 1}


def test_the_warm_up_does_not_count() -> None:
    """Calls fail at first and succeed later; only the later ones are counted."""
    begin, failed = time.perf_counter(), []

    def send() -> str:
        if time.perf_counter() - begin < 0.3:
            failed.append("cold")
            return "cold"
        time.sleep(0.001)
        return ""

    measured = run(lambda: nullcontext(send), number=2, warm_up=0.6, seconds=0.5)
    assert failed
    assert measured.latencies
    assert not measured.errors
    assert measured.seconds == pytest.approx(0.5)


@pytest.mark.parametrize("arguments", [["-d", 301], ["-c", 0], ["-b", 0], ["--warm-up", -1]])
def test_the_load_is_bounded(capsys: pytest.CaptureFixture[str], arguments: list[object]) -> None:
    """Five minutes, and a few hundred connections."""
    assert tritonctl(capsys, "bench", "x", *arguments).code == 2


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 99))
def test_a_percentile_is_one_of_the_values(values: list[float], percent: int) -> None:
    """At least that percentage of the values is not above it."""
    result = percentile(sorted(values), percent)
    assert sum(round(value, 3) <= result for value in values) * 100 >= percent * len(values)


SHAPES = st.lists(st.sampled_from([-1, 1, 3]), max_size=3).map(tuple)
TENSORS = st.dictionaries(st.sampled_from("abc"), st.tuples(st.sampled_from(sorted(DATA_TYPES)), SHAPES), min_size=1)


@given(TENSORS, st.integers(1, 3))
def test_generated_inputs_fit_and_are_encoded_as_by_tritonclient(
    tensors: dict[str, tuple[str, tuple[int, ...]]], rows: int
) -> None:
    """Byte for byte, over both protocols; a model without a batch dimension does not get several rows."""
    model = ModelInterface("m", tuple(TensorInterface(name, *each) for name, each in tensors.items()), ())
    if rows > 1 and not all(tensor.batched for tensor in model.inputs):
        with pytest.raises(UsageError, match="--batch"):
            random_inputs(model, rows)
        return
    for tensor in model.inputs:
        array = random_inputs(model, rows)[tensor.name]
        assert fits(array.shape, tensor.shape)
        for protocol in (tritonclient.http, tritonclient.grpc):
            infer_input = protocol.InferInput(tensor.name, list(array.shape), tensor.datatype)
            infer_input.set_data_from_numpy(np.array(array))
            sent = infer_input._get_binary_data() if protocol is tritonclient.http else infer_input._get_content()
            assert (sent or b"") == raw(array, tensor.name)
