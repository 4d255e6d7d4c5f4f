"""All commands of `tritonctl` that need a cluster, on a real cluster: output and exit status."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from hack import cluster as local
from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object

QUANTILES = {"extraArgs": ["--metrics-config=summary_latencies=true"]}
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module", autouse=True)
def served(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    """Serve an image model with latency quantiles, a model of numbers, and a text ensemble with its steps."""
    texts = yaml.safe_load((ROOT / "examples" / "chinese-texts.yaml").read_text())["spec"]["models"]
    deployments = [
        model_deployment("digits", triton=QUANTILES),
        model_deployment("linear_regression"),
        model_deployment("chinese_texts", models=texts),
    ]
    kube.apply(*deployments)
    for body in deployments:
        kube.wait_ready(body["metadata"]["name"])


@pytest.fixture(scope="module")
def environment(node: RunningCluster, kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a user's shell: kubectl and `tritonctl` on PATH, and the namespace in the context."""
    kubeconfig = tmp_path_factory.mktemp("cli") / "kubeconfig"
    kubeconfig.write_bytes(node.kubeconfig.read_bytes())
    path = f"{local.tools('kubectl')}:{PROGRAMS}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path}
    command = ["kubectl", "config", "set-context", "--current", f"--namespace={kube.namespace}"]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return environment


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Shell:
    """Return a function that runs a command line, with empty standard input by default."""

    def run(line: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", line],
            input=stdin,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"$ {line}\n{done.stdout}{done.stderr}")
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def interrupted(
    environment: dict[str, str], line: str, until: Callable[[str], bool], during: Callable[[], object] | None = None
) -> str:
    """Run a command that does not end until it is interrupted; return its output. No child process must remain."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"], env=environment, stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout
        text, end = "", time.monotonic() + 180
        try:
            while not until(text):
                assert time.monotonic() < end, text
                if select.select([process.stdout], [], [], 0.5)[0]:
                    text += os.read(process.stdout.fileno(), 1 << 16).decode()
                if text and during:
                    during()
                    during = None
        finally:
            os.kill(process.pid, signal.SIGINT)
            code = process.wait(timeout=60)
    print(f"$ {line}\n{text}")
    assert code == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return text


def test_status_shows_the_tree_of_what_belongs_to_a_deployment(shell: Shell) -> None:
    text = shell("tritonctl status digits --wait 60").stdout
    assert re.search(
        r"Deployment digits  1/1 ready\n.*ReplicaSet digits-\w+  1/1 ready\n.*Pod digits-\S+  Running", text
    )
    assert re.search(r"Container prepare  Completed\n.*Container proxy  Running\n.*Container triton  Running\n", text)
    assert "NetworkPolicy" in text
    data = json.loads(shell("tritonctl status digits -o json").stdout)
    assert data["children"][0]["children"][0]["children"][0]["kind"] == "Pod"


def test_status_lists_a_namespace(shell: Shell) -> None:
    lines = shell("tritonctl status").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["chinese-texts", "True", "Serving"],
        ["digits", "True", "Serving"],
        ["linear-regression", "True", "Serving"],
    ]
    assert "not found" in shell("tritonctl status digits absent", code=1).stderr


def test_status_watch_prints_each_change(environment: dict[str, str], kube: Kube) -> None:
    def scale() -> None:
        kube.run("scale", "modeldeployment/linear-regression", "--replicas=0")

    try:
        text = interrupted(environment, "tritonctl status --watch", lambda text: "ScaledToZero" in text, scale)
    finally:
        kube.run("scale", "modeldeployment/linear-regression", "--replicas=1")
        kube.wait_ready("linear-regression")
    assert re.search(r"linear-regression  Ready  Serving  1/1", text)


def test_infer_takes_pictures_tables_lists_and_requests(shell: Shell, tmp_path: Path) -> None:
    digits = load_digits()
    for index in range(5):
        pixels = (digits.images[index] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    files = " ".join(f"--input {index}.png" for index in range(5))
    for protocol in ("http", "grpc"):
        answer = json.loads(shell(f"tritonctl infer digits {files} -p {protocol} -o json").stdout)["outputs"][0]
        read = np.array(answer["data"]).reshape(answer["shape"]).argmax(axis=1)
        assert answer["shape"] == [5, 10]
        assert (read == digits.target[:5]).sum() >= 4
    (tmp_path / "rows.csv").write_text("a,b\n5,6\n9,10\n")
    by_table = json.loads(shell("tritonctl infer linear-regression --input rows.csv -o json").stdout)
    by_list = json.loads(shell("tritonctl infer linear-regression -i - -o json", stdin="[[5, 6], [9, 10]]").stdout)
    assert by_table["outputs"] == by_list["outputs"]
    assert by_table["outputs"][0]["shape"][0] == 2
    refused = shell("tritonctl infer linear-regression --input 0.png", code=2)
    assert "0.png" in refused.stderr
    assert "INPUT__0" in refused.stderr


def test_infer_takes_texts(shell: Shell) -> None:
    answer = json.loads(shell("tritonctl infer chinese-texts --text 我爱你 --text 我恨你 -o json").stdout)
    assert answer["model_name"] == "chinese_texts"
    outputs = {each["name"]: each["data"] for each in answer["outputs"]}
    assert len(set(outputs["LABEL"])) == 2, "one is friendly, one is not"
    assert all(0.5 <= each <= 1 for each in outputs["PROBABILITY"])


def test_logs_are_printed_and_followed(shell: Shell, environment: dict[str, str], kube: Kube) -> None:
    pod = kube.list("pods", "triton-operator.io/model-deployment=digits")[0]["metadata"]["name"]
    kube.run("logs", pod, "-c", "prepare")
    prepared = shell("tritonctl logs digits --container prepare").stdout
    assert prepared == kube.run("logs", pod, "-c", "prepare")
    everything = shell("tritonctl logs digits --since 1h").stdout
    assert f"{pod.removeprefix('digits-')} prepare | " in everything
    assert "has restarted" in shell("tritonctl logs digits --previous", code=1).stderr
    followed = interrupted(environment, "tritonctl logs digits -f", lambda text: text.count("\n") >= 1)
    assert followed.splitlines()[0] in everything


def test_top_shows_the_load_that_bench_makes(shell: Shell, environment: dict[str, str], kube: Kube) -> None:
    words = ["--duration", "200", "--warm-up", "1", "-c", "4", "--batch", "2", "-o", "json"]
    with subprocess.Popen(
        ["tritonctl", "bench", "digits", *words], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:

        def loaded() -> Object | None:
            looked = json.loads(shell("tritonctl top digits --once --interval 3 -o json").stdout)["models"]
            (model,) = [each for each in looked if each["model"] == "digits"]
            return model if model["requestsPerSecond"] else None

        model = kube.wait(loaded, "top shows the load")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=180)
    measured = json.loads(out)
    assert measured["failed"] == 0
    assert measured["requests"] > 0
    assert model["quantilesFrom"] == "summary"
    assert 0 < model["p50Ms"] <= model["p99Ms"]
    assert model["batch"] >= 2


def test_top_reports_that_a_server_records_no_quantiles(shell: Shell) -> None:
    text = shell("tritonctl top linear-regression --once --interval 1").stdout
    assert re.search(r"^linear_regression +1 +\d+ +0\.0", text, re.MULTILINE)  # A terminating pod may still exist.
    assert "no P50 and P99: this server does not record them" in text


def test_bench_speaks_grpc_and_ends_with_ctrl_c(shell: Shell, environment: dict[str, str], kube: Kube) -> None:
    text = shell("tritonctl bench linear-regression -p grpc --duration 2 --warm-up 0.5").stdout
    assert re.search(r"linear_regression: 8 connections over GRPC for 2\.0 s", text)
    with subprocess.Popen(
        ["tritonctl", "bench", "digits", "--warm-up", "0", "--duration", "200"], env=environment, stdout=subprocess.PIPE
    ) as process:
        kube.wait(lambda: _requests_in_a_second(kube, "digits") > 16, "more requests than those before the load arrive")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 130
    assert b"digits: 8 connections" in out


def _requests_in_a_second(kube: Kube, name: str) -> int:
    """Return the number of inferences that the audit log of the deployment has for the last second."""
    selector = f"triton-operator.io/model-deployment={name}"
    return kube.run("logs", "-l", selector, "-c", "proxy", "--since=1s", "--tail=-1").count(f'"model":"{name}"')


def test_doctor_finds_this_cluster_fit(shell: Shell, kube: Kube) -> None:
    text = shell(f"tritonctl doctor -n {kube.namespace}").stdout
    permissions = f"permissions: everything that tritonctl requires in namespace {kube.namespace}"
    for check in (
        "cluster: Kubernetes v1.",
        "definition: triton-operator.io/v1alpha1",
        "operator: ",
        "lease: ",
        permissions,
    ):
        assert re.search(rf"^ok +{re.escape(check)}", text, re.MULTILINE), check


def test_kubectl_finds_the_plugin_and_its_completion(shell: Shell, kube: Kube) -> None:
    """A completion gives up after two seconds, which can be too short on a busy machine."""
    assert "digits  Ready  Serving" in shell("kubectl triton status digits").stdout
    assert "Usage: kubectl triton status" in shell("kubectl triton status --help").stdout
    kube.wait(lambda: "digits\n" in shell("kubectl __complete triton status dig").stdout, "kubectl completes a name")
    kube.wait(lambda: "linear-regression" in shell("kubectl_complete-triton status lin").stdout, "the plugin does")


def test_rollout_pauses_resumes_restarts_and_lists_revisions(shell: Shell, kube: Kube) -> None:
    shell("tritonctl rollout pause linear-regression")
    kube.patch("modeldeployment", "linear-regression", {"spec": {"triton": {"logLevel": "Error"}}})
    kube.wait_reason("linear-regression", "RolloutPaused")
    shell("tritonctl rollout resume linear-regression")
    assert "linear-regression Ready" in shell("tritonctl rollout status linear-regression --timeout 180").stdout
    shell("tritonctl rollout restart linear-regression")
    shell("tritonctl rollout status linear-regression --timeout 180")
    history = json.loads(shell("tritonctl rollout history linear-regression -o json").stdout)
    assert [each["current"] for each in history] == [False, False, True]
    assert history[-1]["ready"] == 1
