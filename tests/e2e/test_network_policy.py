"""The network policy of the profile Private: the clients that reach a serving pod, and that the pod reaches no target.

Each blocked connection has a positive control: the same connection succeeds without the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.handle import Cluster
from hack.images.builder import Image
from hack.install import make_namespace
from tests.connections import reaches
from tests.kube import Kube, Object

NAME = "linear-regression"
TLS, METRICS, HEALTH = 8443, 8002, 8003
"""The ports on which a pod with the sidecar `proxy` listens."""
OPEN_WITH_TLS = {"profile": "Open", "network": None, "tls": {"mode": "Managed"}}
"""The pods of this profile have the same ports, and no policy."""


@pytest.fixture(scope="module")
def namespaces(node: Cluster, kube: Kube, images: dict[str, Image]) -> Iterator[dict[str, Kube]]:
    """Start a client pod in the model's namespace, in an allowed namespace, and in one that is not allowed."""
    clients = {"same": kube, "allowed": kube.beside("e2e-allowed"), "stranger": kube.beside("e2e-stranger")}
    for who, client in clients.items():
        if who != "same":
            make_namespace(node, client.namespace, team=who)
        client.apply(_client_pod(images["operator"].reference))
    for client in clients.values():
        client.run("wait", "pod/client", "--for=condition=Ready", "--timeout=60s")
    yield clients
    for who, client in clients.items():
        if who != "same":
            client.delete_namespace()


@pytest.fixture(scope="module")
def pod_address(kube: Kube, model_deployment: Callable[..., Object], namespaces: dict[str, Kube]) -> str:
    network = {"allowFrom": [{"namespaceSelector": {"matchLabels": {"team": "allowed"}}}]}
    kube.apply(model_deployment("linear_regression", privacy={"profile": "Private", "network": network}))
    kube.wait_ready(NAME)
    pod = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")[0]
    return str(pod["status"]["podIP"])


@pytest.mark.parametrize(
    ("who", "port", "expected"),
    [
        ("same", TLS, True),
        ("allowed", TLS, True),
        ("stranger", TLS, False),
        ("same", METRICS, False),
        ("stranger", METRICS, False),
        ("same", HEALTH, False),
        ("stranger", HEALTH, False),
    ],
)
def test_only_the_namespace_and_allow_from_come_in(
    who: str, port: int, *, expected: bool, pod_address: str, namespaces: dict[str, Kube]
) -> None:
    assert reaches(namespaces[who], "client", pod_address, port) is expected


def test_a_serving_pod_reaches_nothing(pod_address: str, kube: Kube, namespaces: dict[str, Kube]) -> None:
    serving = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")[0]["metadata"]["name"]
    for address, port in _targets(kube, namespaces):
        assert not reaches(kube, serving, address, port, container="triton"), (address, port)


def test_with_the_policy_lifted_the_same_packets_pass(
    pod_address: str, kube: Kube, namespaces: dict[str, Kube], model_deployment: Callable[..., Object]
) -> None:
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": OPEN_WITH_TLS}})
    kube.wait_ready(NAME)
    kube.wait(lambda: kube.get("networkpolicy", NAME) is None, "the policy is gone")
    pod = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")[0]
    serving, address = pod["metadata"]["name"], pod["status"]["podIP"]
    kube.wait(lambda: reaches(namespaces["stranger"], "client", address, TLS), "a stranger gets through")
    assert reaches(namespaces["stranger"], "client", address, METRICS)
    assert reaches(namespaces["stranger"], "client", address, HEALTH)
    for target, port in _targets(kube, namespaces):
        assert reaches(kube, serving, target, port, container="triton"), (target, port)


def _targets(kube: Kube, namespaces: dict[str, Kube]) -> list[tuple[str, int]]:
    """Return the API server, the cluster's DNS over TCP, and a listening pod of another namespace."""
    dns = kube.beside("kube-system").get("service", "kube-dns")
    api = kube.beside("default").get("service", "kubernetes")
    client: Any = namespaces["stranger"].get("pod", "client")
    assert dns
    assert api
    return [(api["spec"]["clusterIP"], 443), (dns["spec"]["clusterIP"], 53), (client["status"]["podIP"], 9000)]


def _client_pod(image: str) -> Object:
    """Return a pod that listens on port 9000 and runs test commands; it uses the operator's image with Python."""
    serve = "import http.server; http.server.test(port=9000)"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "command": ["python3", "-c", serve],
                    "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
