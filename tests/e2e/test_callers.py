"""Named callers of a deployment on a real node: ServiceAccounts of the cluster, and the audit log of the proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hack.cluster import tools
from hack.cluster.handle import RunningCluster
from hack.images.builder import BuiltImage
from tests.kube import Kube, Object
from triton_operator.api.names import audience
from triton_operator.sdk import Client, Protocol
from triton_operator.sdk.errors import RejectedError
from triton_operator.sdk.kube_context import KubeContext

NAME, CALLER = "linear-regression", "checkout"
ROW = np.array([[9, 10]], np.float32)
SIDECAR, WAIT = (
    "shipper",
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); signal.sigwait([signal.SIGTERM])",
)
LOOK = """
import json, os, socket, urllib.request

def connects(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        return False
    return True

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "triton": urllib.request.urlopen("http://127.0.0.1:8000/v2/health/ready", timeout=5).status,
    "API server": connects(os.environ["KUBERNETES_SERVICE_HOST"], 443),
    "processes": [open(f"/proc/{pid}/cmdline").read() for pid in os.listdir("/proc") if pid.isdecimal()],
    "folders": [path for path in FOLDERS if os.path.exists(path)],
    "words": open("/words/words").read(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "privileges": status["NoNewPrivs"].strip(),
}))
"""
"""What a container finds out about the pod."""
TRITONCTL = str(Path(sys.executable).with_name("tritonctl"))
each_protocol = pytest.mark.parametrize("protocol", list(Protocol))
Connect = Callable[..., Client]


@pytest.fixture(scope="module", autouse=True)
def deployed(kube: Kube, model_deployment: Callable[..., Object], images: dict[str, BuiltImage]) -> Object:
    """Serve a model for one of three ServiceAccounts, with a sidecar."""
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"words": "hello"}})
    for account in (CALLER, "newcomer", "stranger"):
        kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
    sidecar = {
        "name": SIDECAR,
        "image": images["operator"].reference,
        "restartPolicy": "Always",
        "command": ["python3", "-c", WAIT],
        "volumeMounts": [{"name": "words", "mountPath": "/words"}],
    }
    volumes = [{"name": "words", "configMap": {"name": "words"}}]
    template = {"spec": {"initContainers": [sidecar], "volumes": volumes}}
    kube.apply(model_deployment("linear_regression", privacy=privacy(CALLER), podTemplate=template))
    return kube.wait_ready(NAME)


@pytest.fixture
def connect(node: RunningCluster, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A client of the SDK; its arguments select the token."""
    monkeypatch.setenv("PATH", f"{tools('kubectl')}:{os.environ['PATH']}")
    return partial(Client, NAME, kube.namespace, cluster=KubeContext(str(node.kubeconfig)))


def privacy(*accounts: str) -> Object:
    clients = [{"name": account, "serviceAccount": {"name": account}} for account in accounts]
    return {"tls": {"mode": "Managed"}, "clients": clients}


def test_a_sidecar_shares_the_network_of_the_pod_and_nothing_else(kube: Kube) -> None:
    """In a namespace with Pod Security `restricted`, without a security context of its own."""
    (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    own = [mount["mountPath"] for container in containers_of(pod) for mount in container["volumeMounts"]]
    folders = sorted({path for path in own if path not in {"/dev/shm", "/tmp", "/words"}})  # noqa: S108 -- in every image
    look = LOOK.replace("FOLDERS", repr(folders))
    found = json.loads(kube.run("exec", pod["metadata"]["name"], "-c", SIDECAR, "--", "python3", "-c", look))
    assert found.pop("words") == "hello"
    (waiting, looking) = sorted(found.pop("processes"), key=len)
    assert (waiting.split("\0")[2], looking.split("\0")[2]) == (WAIT, look)
    assert found == {"triton": 200, "API server": False, "folders": [], "capabilities": 0, "privileges": "1"}
    deployment = kube.get("modeldeployment", NAME)
    assert deployment
    controls = {each["name"]: each for each in deployment["status"]["privacy"]["controls"]}
    assert f"reach Triton without it, and can answer instead of Triton: {SIDECAR}" in controls["Callers"]["message"]


def containers_of(pod: Object) -> list[Object]:
    """Containers and init containers."""
    spec = pod["spec"]
    return [*spec["initContainers"], *spec["containers"]]


@each_protocol
def test_a_token_of_the_service_account_is_admitted(protocol: Protocol, connect: Connect) -> None:
    with connect(protocol=protocol, service_account=CALLER) as client:
        assert client.infer("linear_regression", ROW).output.reshape(-1) == pytest.approx([5], abs=0.2)


@each_protocol
@pytest.mark.parametrize("account", ["", "stranger"])
def test_nobody_else_is_admitted(account: str, protocol: Protocol, connect: Connect) -> None:
    with connect(protocol=protocol, service_account=account) as client, pytest.raises(RejectedError):
        client.infer("linear_regression", ROW)


@each_protocol
def test_a_token_for_another_audience_is_refused(protocol: Protocol, connect: Connect, kube: Kube) -> None:
    """The audience of another deployment, and that of the API server."""
    for other in (audience(kube.namespace, "digits"), "https://kubernetes.default.svc"):
        token = kube.run("create", "token", CALLER, f"--audience={other}").strip()
        with connect(protocol=protocol, token=token) as client, pytest.raises(RejectedError):
            client.infer("linear_regression", ROW)


def test_a_caller_is_added_and_removed_without_a_restart(connect: Connect, kube: Kube) -> None:
    pods = serving_pods(kube)
    with connect(service_account="newcomer", timeout=5) as client:
        assert not is_admitted(client)
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": privacy(CALLER, "newcomer")}})
        added = seconds_until(kube, lambda: is_admitted(client))
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": privacy(CALLER)}})
        removed = seconds_until(kube, lambda: not is_admitted(client))
    print(f"admitted after {added:.1f} s, refused after {removed:.1f} s")
    assert serving_pods(kube) == pods


def test_a_token_does_not_outlive_its_service_account(connect: Connect, kube: Kube) -> None:
    """Nor does a new ServiceAccount of the same name admit it. A change of the spec starts each pass at once."""
    token = kube.run("create", "token", "newcomer", f"--audience={audience(kube.namespace, NAME)}").strip()
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": privacy(CALLER, "newcomer")}})
    with connect(token=token, timeout=5) as client:
        kube.wait(lambda: is_admitted(client), "the token is admitted", 20)
        kube.delete("serviceaccount", "newcomer")
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"audit": "Refused"}}})
        kube.wait(lambda: not is_admitted(client), "the token is refused", 20)
        kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "newcomer"}})
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"audit": "All"}}})
        with connect(service_account="newcomer", timeout=5) as successor:
            kube.wait(lambda: is_admitted(successor), "a new token is admitted", 20)
        assert not is_admitted(client)


def test_a_token_of_tritonctl_is_admitted_until_it_is_revoked(
    connect: Connect, node: RunningCluster, kube: Kube, tmp_path: Path
) -> None:
    """What the commands print becomes a part of the spec as it is: first the key, later the ID of the token."""

    def tritonctl(action: str, *options: str) -> subprocess.CompletedProcess[str]:
        of_caller = ["-n", kube.namespace, "--client", "shop", "--key-folder", str(tmp_path / "keys")]
        command = [TRITONCTL, "token", action, NAME, *of_caller, "--kubeconfig", str(node.kubeconfig), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    def use(printed: str) -> None:
        clients = [*privacy(CALLER)["clients"], *yaml.safe_load(printed)]
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"clients": clients}}})

    created = tritonctl("create")
    with connect(token=created.stdout.strip(), timeout=5) as client:
        assert not is_admitted(client)
        use(created.stderr[created.stderr.index("- name: shop") :])
        kube.wait(lambda: is_admitted(client), "the token is admitted", 20)
        (issued,) = json.loads(tritonctl("list", "-o", "json").stdout)
        use(tritonctl("revoke", "--id", issued["id"]).stdout)
        kube.wait(lambda: not is_admitted(client), "the token is refused", 20)
        with pytest.raises(RejectedError, match="unauthenticated"):
            client.infer("linear_regression", ROW)
        with connect(token=tritonctl("create").stdout.strip(), timeout=5) as successor:
            assert is_admitted(successor), "the same key, another ID"


def test_the_audit_log_names_callers_and_contains_neither_tokens_nor_tensors(connect: Connect, kube: Kube) -> None:
    """The canaries are searched in the logs of all containers; the line of the request is the positive control."""
    canary = np.array([[12345.625, 54321.375]], np.float32)
    token = kube.run("create", "token", CALLER, f"--audience={audience(kube.namespace, NAME)}").strip()
    with connect(token=token) as client:
        client.infer("linear_regression", canary)
    (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    name = pod["metadata"]["name"]
    logs = kube.run("logs", name, "--all-containers")
    lines = audit_lines(kube, name)
    assert any((line["caller"], line["model"], line["status"]) == (CALLER, "linear_regression", 200) for line in lines)
    assert any(line["status"] == 401 for line in lines)
    for secret in (token, token.rpartition(".")[2], "12345.6", "54321.3"):
        assert secret not in logs


def audit_lines(kube: Kube, pod: str) -> list[dict[str, Any]]:
    """The lines of the proxy about requests."""
    lines = kube.run("logs", pod, "-c", "proxy").splitlines()
    return [line for text in lines if text.startswith("{") and "caller" in (line := json.loads(text))]


def is_admitted(client: Client) -> bool:
    try:
        client.infer("linear_regression", ROW)
    except RejectedError:
        return False
    return True


def seconds_until(kube: Kube, condition: Callable[[], bool]) -> float:
    start = time.monotonic()
    kube.wait(condition, "the changed callers are in force", 20)
    return time.monotonic() - start


def serving_pods(kube: Kube) -> list[tuple[str, list[int]]]:
    """UID and restart counts of each pod."""
    pods = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    return [
        (pod["metadata"]["uid"], [each["restartCount"] for each in pod["status"]["initContainerStatuses"]])
        for pod in pods
    ]
