"""Every command of docs/reasons works; commands that change the cluster run with `--dry-run=server`.

They run against one ready deployment that has restarted once, and against the objects that the pages name.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hack import cluster as local
from hack.cluster.handle import RunningCluster
from tests import gateway_api
from tests.kube import Kube, Object
from tests.volumes import claim_manifest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
SELECTOR = "triton-operator.io/model-deployment=digits"
_CHANGING = ("apply", "create", "delete", "patch", "scale")


def page_commands() -> list[str]:
    """Return the commands of all pages except `tritonctl status`, which waits and has a separate test."""
    text = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reasons").glob("*.md")))
    lines = (line.strip() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines())
    return sorted({line for line in lines if not line.startswith("tritonctl status")})


def without_effect(command: str) -> str:
    """Add `--dry-run=server` to a command of kubectl that would change the cluster, and `--dry-run` to an undo."""
    if command.startswith("tritonctl rollout undo"):
        return f"{command} --dry-run"
    changing = "kubectl" in command and command.rpartition("kubectl ")[2].split()[0] in _CHANGING
    return f"{command} --dry-run=server" if changing else command


@pytest.fixture(scope="module")
def shell(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Return a function that runs a command in the namespace and in a folder with the files that the pages use."""
    _create_objects(kube, model_deployment)
    folder = tmp_path_factory.mktemp("reasons")
    (folder / "digits.yaml").write_text(yaml.safe_dump(model_deployment("digits")))
    (folder / "model_repository").symlink_to(ROOT / "model_repository")
    (folder / "config.json").write_text('{"auths": {}}')
    for name in ("accessKeyId", "secretAccessKey", "ca.crt"):
        (folder / name).write_text("text")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_bytes(node.kubeconfig.read_bytes())
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{local.tools()}:{PROGRAMS}:{os.environ['PATH']}",
    }

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    run(f"kubectl config set-context --current --namespace={kube.namespace}").check_returncode()
    yield run
    for name in ("digits", "other"):
        kube.delete("modeldeployment", name)
    kube.beside("infra").delete_namespace()
    gateway_api.uninstall(kube)


def _create_objects(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    """Create the objects that the pages use: `digits`, which has restarted once, `other`, and objects of users."""
    other = model_deployment("digits", suspend=True)
    other["metadata"]["name"] = "other"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "models-reader"}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-dns"},
        "spec": {"podSelector": {"matchLabels": {"app": "shop"}}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits-cpu"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}, "maxReplicas": 2},
    }
    kube.apply(model_deployment("digits"), other, claim_manifest("models"), secret, policy, autoscaler)
    kube.apply(*(_ingress(name) for name in ("digits-http", "digits-grpc")))
    gateway_api.install(kube)
    kube.run("create", "namespace", "infra", namespaced=False)
    kube.beside("infra").apply(_gateway())
    kube.wait_ready("digits")
    (pod,) = kube.list("pods", SELECTOR)
    end = ["python3", "-c", "import os; os.kill(1, 15)"]
    kube.run("exec", pod["metadata"]["name"], "-c", "triton", "--", *end)

    def restarted() -> bool:
        (status,) = kube.list("pods", SELECTOR)[0]["status"]["containerStatuses"]
        return bool(status["restartCount"] and status["state"].get("running"))

    kube.wait(restarted, "the server was started again")


def _ingress(name: str) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"defaultBackend": {"service": {"name": "digits", "port": {"number": 8443}}}},
    }


def _gateway() -> Object:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "web"},
        "spec": {"gatewayClassName": "none", "listeners": [{"name": "web", "port": 80, "protocol": "HTTP"}]},
    }


def test_the_commands_of_the_pages_work(kube: Kube, shell: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    node = kube.list("nodes")[0]["metadata"]["name"]
    failed = {}
    for command in page_commands():
        done = shell(without_effect(command.replace("NAME", node) if "node NAME" in command else command))
        if done.returncode or "unknown field" in done.stderr:
            failed[command] = done.stderr
    assert not failed
