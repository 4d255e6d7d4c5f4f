"""The commands of docs/privacy.md print what the page says, on a deployment with TLS and one caller."""

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
from tests.kube import Kube, Object

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
PROGRAMS = Path(sys.executable).parent
PRIVACY = {"clients": [{"name": "shop", "serviceAccount": {"name": "checkout"}}]}
PODS = "triton-operator.io/model-deployment=digits"
EXPECTED = {
    "kubectl get md digits -o jsonpath='{range .status.privacy": r"^TLS\tEnforced\t(.|\n)*^Callers\tEnforced\t",
    "kubectl describe networkpolicy digits": "isolated for egress connectivity",
    "kubectl get networkpolicies": "^digits ",
    "tritonctl doctor --probe": "network policies: enforced, tested on",
    "tritonctl doctor | grep": "port-forwarding: allowed in namespace",
    f"kubectl get pods -l {PODS} -o yaml | grep -e --http": "--http-address=127.0.0.1",
    "kubectl get service digits": "^8443$",
    "kubectl get configmap digits-proxy": '"shop"',
    f"kubectl get pods -l {PODS} -o yaml | grep -e restr": "--http-restricted-api=",
    "tritonctl logs digits --container proxy": '^{"time":',
    f"kubectl get pods -l {PODS} -o jsonpath": "sha256:[0-9a-f]{64}",
    "kubectl get md digits -o jsonpath='{.status.conditions": "24.10",
    "tritonctl privacy digits": r"^TLS +Enforced +yes +2\d{3}-(.|\n)*^Callers +caller shop +kind: ServiceAccount",
    "kubectl auth can-i create pods --subresource=portforward": "^no$",
}
"""The beginning of each command, and a pattern of its output."""

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


def page_commands() -> list[str]:
    """The command lines of the page."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def shell(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """Return a function that runs a command in the namespace of a ready deployment."""
    kube.apply(model_deployment("digits", privacy=PRIVACY))
    kube.wait_ready("digits")
    kubeconfig = tmp_path_factory.mktemp("home") / "kubeconfig"
    kubeconfig.write_bytes(node.kubeconfig.read_bytes())
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{local.tools()}:{PROGRAMS}:{os.environ['PATH']}",
    }

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)

    run(f"kubectl config set-context --current --namespace={kube.namespace}").check_returncode()
    yield run
    kube.delete("modeldeployment", "digits")


@pytest.mark.parametrize("command", page_commands())
def test_a_command_of_the_page_prints_what_the_page_says(command: str, shell: Run) -> None:
    (pattern,) = [pattern for start, pattern in EXPECTED.items() if command.startswith(start)]
    done = shell(command)
    assert re.search(pattern, done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert done.returncode == int(pattern == "^no$"), done.stderr


def test_the_proxys_policy_contains_no_private_key(shell: Run) -> None:
    """Although the public keys are there."""
    policy = shell(r"kubectl get configmap digits-proxy -o jsonpath='{.data.policy\.json}'").stdout
    assert "BEGIN PUBLIC KEY" in policy
    assert "PRIVATE" not in policy


def test_the_role_of_the_page_permits_to_deploy_but_not_to_read_requests(kube: Kube, shell: Run) -> None:
    """The role `edit` permits both."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    role = yaml.safe_load(text)
    kube.apply(role, _binding("jane", "Role", role["metadata"]["name"]), _binding("john", "ClusterRole", "edit"))
    deploy = ["create modeldeployments", "patch modeldeployments", "get pods --subresource=log"]
    read = [f"create pods --subresource={name}" for name in ("portforward", "exec", "attach")]

    def answers(user: str) -> list[str]:
        return [shell(f"kubectl auth can-i {action} --as={user}").stdout.strip() for action in [*deploy, *read]]

    assert answers("jane") == ["yes"] * 3 + ["no"] * 3
    assert answers("john") == ["yes"] * 6
    trusted = "kubectl auth can-i get configmaps/triton-operator-ca --as=jane"
    assert shell(trusted).stdout == "yes\n"
    assert shell("kubectl auth can-i get secrets --as=jane").stdout == "no\n"


def _binding(user: str, kind: str, role: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
