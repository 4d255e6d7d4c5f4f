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
from hack.cluster.handle import RunningCluster
from hack.demo.run import NAMESPACE
from tests.kube import Kube, Object
from triton_operator.api.names import NETWORK_PROBE

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
FORWARD = "port-forward service/digits 8443 &"
WAIT = f"kubectl -n {NAMESPACE} wait --for=condition=Ready md/digits --timeout=300s"


def make_demo() -> subprocess.CompletedProcess[str]:
    """Run `make demo` from the README with this Python; not `make demo-down`, because all tests share the node."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def readme_table() -> str:
    """Return the README's output of `kubectl get md`."""
    (table,) = re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(table)


def without_ages(table: str) -> list[str]:
    """Return the lines of kubectl's table without the last column, which is the age."""
    end = table.index("AGE")
    return [line[:end] for line in table.splitlines()]


def readme_blocks() -> list[str]:
    """Return the README's blocks of commands, in order."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def readme_commands() -> list[str]:
    """Return the README's single commands for an existing deployment, in order."""
    lines = [line for block in readme_blocks() if FORWARD not in block for line in block.splitlines()]
    return [line for line in lines if line.startswith(("kubectl", "tritonctl"))]


def with_free_port(script: str) -> str:
    """Return the script with a free local port instead of 8443, which other programs may use."""
    assert FORWARD in script
    assert "::localhost:" in script
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = script.replace(FORWARD, FORWARD.replace("8443", f"{port}:8443"))
    script = script.replace("::localhost:", f"::localhost:{port}")
    return f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"


@pytest.fixture(scope="module")
def kube(operator: str, in_namespace: Callable[[str], Kube]) -> Iterator[Kube]:
    """The demo's namespace, which is deleted afterwards, in a cluster without a result of the network probe."""
    forget_probe = ("delete", "configmap", NETWORK_PROBE, "--ignore-not-found")
    in_namespace(operator).run(*forget_probe)
    created = in_namespace(NAMESPACE)
    yield created
    created.run("delete", "namespace", NAMESPACE, "--ignore-not-found", namespaced=False)
    in_namespace(operator).run(*forget_probe)


@pytest.fixture(scope="module")
def demo(kube: Kube) -> subprocess.CompletedProcess[str]:
    """Run the demo once."""
    del kube
    done = make_demo()
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    print(done.stdout)
    return done


@pytest.fixture
def shell(node: RunningCluster, kube: Kube, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that runs a command line in the demo's namespace, with the examples and a request."""
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
    """The output has no colours, because standard output is not a terminal."""
    read = re.findall(r"Prediction: (\d)  \(probability ([\d.]+)%, (correct|wrong)", demo.stdout)
    assert len(read) == 5
    assert sum(outcome == "correct" for _, _, outcome in read) >= 4
    for protocol in ("HTTP", "gRPC"):
        assert re.findall(rf"{protocol}  (\d) +[\d.]+ ms", demo.stdout) == [digit for digit, _, _ in read]
    assert "█" in demo.stdout
    assert "\033" not in demo.stdout + demo.stderr


def test_the_demo_tests_the_network_and_shows_that_all_required_controls_are_enforced(
    demo: subprocess.CompletedProcess[str], kube: Kube
) -> None:
    assert "✓ network policies: enforced, tested on node; recorded in ConfigMap" in demo.stderr
    assert "\nPrivacyEnforced is True: all 6 required controls are enforced\n" in demo.stdout
    controls = re.findall(r"^  (\w+) +(\w+) +\w", demo.stdout.partition("\nPrivacyEnforced is ")[2], re.MULTILINE)
    deployment = kube.get("modeldeployment", "digits")
    assert deployment
    required = [each for each in deployment["status"]["privacy"]["controls"] if each.get("required", True)]
    assert controls == [(each["state"], each["name"]) for each in required]
    assert ("Enforced", "TLS") in controls


def test_the_reason_is_shown_while_it_waits(demo: subprocess.CompletedProcess[str]) -> None:
    """The output shows each reason with its time until the deployment is Ready."""
    assert re.search(r"^ +[\d.]+ s  Serving: ", demo.stderr, re.MULTILINE)
    assert "✓ digits is Ready" in demo.stderr


def test_a_second_run_reuses_everything(demo: subprocess.CompletedProcess[str], kube: Kube) -> None:
    """The pods are the same after the second run, and the network is not tested again."""
    del demo
    before = {pod["metadata"]["uid"] for pod in kube.list("pods")}
    again = make_demo()
    assert again.returncode == 0, again.stderr
    assert "test whether the network enforces" not in again.stderr
    assert {pod["metadata"]["uid"] for pod in kube.list("pods")} == before


def test_the_readmes_table_is_what_kubectl_prints(
    demo: subprocess.CompletedProcess[str], kube: Kube, shell: Callable[[str], str]
) -> None:
    """Columns and values are compared, except the ages."""
    del demo
    shell(WAIT)
    body = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    body["metadata"]["name"] = "typo"
    body["spec"] |= {"modelRepository": _repository_of(kube), "models": [{"name": "digits", "path": "digitz"}]}
    kube.apply(body)
    kube.wait_reason("typo", "ModelNotFound")
    printed = shell("kubectl get md")
    output = shell("kubectl get md typo -o wide")
    kube.delete("modeldeployment", "typo")
    assert without_ages(printed) == without_ages(readme_table())
    assert 'Did you mean "digits"?' in output


def _repository_of(kube: Kube) -> Object:
    """Return the repository of the demo's models, which is the locally built image."""
    deployment = kube.get("modeldeployment", "digits")
    assert deployment
    repository: Object = deployment["spec"]["modelRepository"]
    return repository


def test_the_suggested_commands_work(demo: subprocess.CompletedProcess[str], shell: Callable[[str], str]) -> None:
    """Run the printed commands, except the last line, in one shell; the local port is replaced by a free one."""
    lines = demo.stderr.partition("What to try next\n")[2].partition("\n\n")[0].splitlines()
    *commands, way_down = [line.strip() for line in lines]
    assert re.search(r"\bmake demo-down\b", way_down)
    output = shell(with_free_port("\n".join(commands)))
    assert "OUTPUT__0" in output
    assert re.search(r'"outputs":\[\{"name":"OUTPUT__0"', output)


def test_the_readmes_commands_work(demo: subprocess.CompletedProcess[str], shell: Callable[[str], str]) -> None:
    """Run the commands in order; wait after a change until the deployment is Ready."""
    del demo
    commands = readme_commands()
    assert len(commands) >= 7
    for command in commands:
        shell(command)
        if "scale" in command:
            shell(WAIT)


def test_the_readmes_curl_sends_a_request_over_tls(
    demo: subprocess.CompletedProcess[str], shell: Callable[[str], str]
) -> None:
    del demo
    shell(WAIT)
    (block,) = [block for block in readme_blocks() if FORWARD in block]
    assert re.search(r'"outputs":\[\{"name":"OUTPUT__0"', shell(with_free_port(block)))


def test_the_example_works_as_it_is(
    demo: subprocess.CompletedProcess[str], kube: Kube, shell: Callable[[str], str]
) -> None:
    """The image is loaded as `latest` and with the tag that the demo applies."""
    del demo
    shell("kubectl apply -f examples/digits.yaml")
    shell(WAIT)
    assert _repository_of(kube)["image"]["reference"] == "triton-operator.local/models:latest"
