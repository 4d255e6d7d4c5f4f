"""The demo and its output, and the commands of the README, on the real node."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hack.cache import cache_dir
from hack.cluster.handle import Cluster
from hack.demo.run import NAMESPACE
from tests.kube import Kube, Object

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
WAIT = f"kubectl -n {NAMESPACE} wait --for=condition=Ready md/digits --timeout=120s"


def make_demo() -> subprocess.CompletedProcess[str]:
    """`make demo`, as the README has it, with this Python. Its way down is not run: the node is the whole run's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def readme_table() -> str:
    """What the README shows of `kubectl get md`."""
    (table,) = re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(table)


def without_ages(table: str) -> list[str]:
    """The lines of a table of kubectl without its last column."""
    end = table.index("AGE")
    return [line[:end] for line in table.splitlines()]


def readme_commands() -> list[str]:
    """The README's commands about a deployment that is there, in their order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("kubectl", "tritonctl"))]


@pytest.fixture(scope="module")
def kube(operator: str, in_namespace: Callable[[str], Kube]) -> Iterator[Kube]:
    """The demo's namespace, gone afterwards."""
    del operator
    found = in_namespace(NAMESPACE)
    yield found
    found.run("delete", "namespace", NAMESPACE, "--ignore-not-found", namespaced=False)


@pytest.fixture(scope="module")
def demo(kube: Kube) -> subprocess.CompletedProcess[str]:
    """The demo, run once."""
    del kube
    done = make_demo()
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    print(done.stdout)
    return done


@pytest.fixture
def shell(node: Cluster, kube: Kube, tmp_path: Path) -> Callable[[str], str]:
    """Runs a command line where a person would: in the demo's namespace, with the examples and a request at hand."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(node.kubeconfig, kubeconfig)
    for folder in ("examples", "model_repository"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    demo_folder = tmp_path / ".cache" / "triton-operator" / "demo"
    demo_folder.mkdir(parents=True)
    shutil.copy(cache_dir() / "demo" / "digit.json", demo_folder)

    path = f"{PROGRAMS}:{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig), "PATH": path}

    def run(line: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    run(f"kubectl config set-context --current --namespace={kube.namespace}")
    return run


@pytest.mark.timeout(900)
def test_five_digits_are_read_over_both_protocols(demo: subprocess.CompletedProcess[str]) -> None:
    """Drawn without colours, because this is no terminal."""
    read = re.findall(r"Prediction: (\d)  \(probability ([\d.]+)%, (correct|wrong)", demo.stdout)
    assert len(read) == 5
    assert sum(outcome == "correct" for _, _, outcome in read) >= 4
    for protocol in ("HTTP", "gRPC"):
        assert re.findall(rf"{protocol}  (\d) +[\d.]+ ms", demo.stdout) == [digit for digit, _, _ in read]
    assert "█" in demo.stdout
    assert "\033" not in demo.stdout + demo.stderr


def test_the_reason_is_shown_while_it_waits(demo: subprocess.CompletedProcess[str]) -> None:
    """With its time, up to Ready."""
    assert re.search(r"^ +[\d.]+ s  Serving: ", demo.stderr, re.MULTILINE)
    assert "✓ digits is Ready" in demo.stderr


def test_a_second_run_reuses_everything(demo: subprocess.CompletedProcess[str], kube: Kube) -> None:
    """The same pod answers."""
    del demo
    before = {pod["metadata"]["uid"] for pod in kube.list("pods")}
    again = make_demo()
    assert again.returncode == 0, again.stderr
    assert {pod["metadata"]["uid"] for pod in kube.list("pods")} == before


def test_the_readmes_table_is_what_kubectl_prints(
    demo: subprocess.CompletedProcess[str], kube: Kube, shell: Callable[[str], str]
) -> None:
    """Columns and values; the ages are a matter of when one looks."""
    del demo
    shell(WAIT)
    body = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    body["metadata"]["name"] = "typo"
    body["spec"] |= {"modelRepository": _repository_of(kube), "models": [{"name": "digits", "path": "digitz"}]}
    kube.apply(body)
    kube.wait_reason("typo", "ModelNotFound")
    printed = shell("kubectl get md")
    told = shell("kubectl get md typo -o wide")
    kube.delete("modeldeployment", "typo")
    assert without_ages(printed) == without_ages(readme_table())
    assert 'Did you mean "digits"?' in told


def _repository_of(kube: Kube) -> Object:
    """Where the demo's models are: the image that was built here."""
    found = kube.get("modeldeployment", "digits")
    assert found
    repository: Object = found["spec"]["modelRepository"]
    return repository


def test_the_suggested_commands_work(demo: subprocess.CompletedProcess[str], shell: Callable[[str], str]) -> None:
    """All of it in one shell, as it is printed, but the last line; only the local port is one that is free."""
    lines = demo.stderr.partition("What to try next\n")[2].partition("\n\n")[0].splitlines()
    *commands, way_down = [line.strip() for line in lines]
    assert re.search(r"\bmake demo-down\b", way_down)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = "\n".join(commands).replace("service/digits 8000 &", f"service/digits {port}:8000 &")
    script = script.replace("localhost:8000", f"localhost:{port}")
    said = shell(f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}")
    assert "OUTPUT__0" in said
    assert re.search(r'"outputs":\[\{"name":"OUTPUT__0"', said)


def test_the_readmes_commands_work(demo: subprocess.CompletedProcess[str], shell: Callable[[str], str]) -> None:
    """One after the other; a change is given the time it needs."""
    del demo
    commands = readme_commands()
    assert len(commands) >= 7
    for command in commands:
        shell(command)
        if "scale" in command:
            shell(WAIT)


def test_the_example_works_as_it_is(
    demo: subprocess.CompletedProcess[str], kube: Kube, shell: Callable[[str], str]
) -> None:
    """Its image is there as `latest` beside the tag that the demo applies."""
    del demo
    shell("kubectl apply -f examples/digits.yaml")
    shell(WAIT)
    assert _repository_of(kube)["image"]["reference"] == "triton-operator.local/models:latest"
