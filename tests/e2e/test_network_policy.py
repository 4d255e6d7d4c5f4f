"""The network of a private deployment with TLS: who reaches which of its ports, and that its pods reach nothing.

Each blocked attempt has a positive control: the same attempt succeeds when another policy permits it, or from a client
that is permitted. Policies are additive, so a policy of somebody else can open a pod without a change to the
deployment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.layout import NODE_ADDRESS
from hack.cluster.native.node import NativeCluster
from hack.images.builder import BuiltImage
from hack.install import make_namespace
from tests.e2e.outside_host import link_address, outside_host
from tests.kube import Kube, Object
from tests.network_attempts import PORT, Attempt, answered, answering_pod, reaches
from triton_operator.api.names import PORT_GRPC, PORT_HEALTH, PORT_HTTP, PORT_HTTPS, PORT_METRICS, audience

NAME, OTHER, CALLER = "linear-regression", "other", "checkout"
NAMESPACES = {"allowed": "e2e-allowed", "metrics": "e2e-metrics", "stranger": "e2e-stranger", "host": "e2e-host"}
PORTS = (PORT_HTTPS, PORT_HEALTH, PORT_METRICS, PORT_HTTP, PORT_GRPC)
PRIVACY = {
    "tls": {"mode": "Managed"},
    "clients": [{"name": CALLER, "serviceAccount": {"name": CALLER}}],
    "network": {
        "allowFrom": [{"namespaceSelector": {"matchLabels": {"team": "allowed"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "metrics"}}}],
    },
}
KUBELET, API_SERVER = 10250, 6443
_STATUS = """
import ssl, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"authorization": "Bearer " + sys.argv[2]} if sys.argv[2] else {})
try:
    print(urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context()).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def clients(node: RunningCluster, kube: Kube, images: dict[str, BuiltImage]) -> Iterator[dict[str, Kube]]:
    """Start a client in each namespace; that of `host` is on the network of the node."""
    found = {"same": kube, **{who: kube.beside(name) for who, name in NAMESPACES.items()}}
    for who, client in found.items():
        if who == "host":
            client.run("create", "namespace", client.namespace, namespaced=False)  # `restricted` forbids hostNetwork.
        elif who != "same":
            make_namespace(node, client.namespace, team=who)
        client.apply(answering_pod(images["operator"].reference, host_network=who == "host"))
    for client in found.values():
        client.run("wait", "pod/client", "--for=condition=Ready", "--timeout=300s")
    yield found
    kube.run("delete", "namespace", *NAMESPACES.values(), namespaced=False)


@pytest.fixture(scope="module")
def serving(kube: Kube, model_deployment: Callable[..., Object], clients: dict[str, Kube]) -> dict[str, Object]:
    """The pods of two deployments by name."""
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": CALLER}})
    body = model_deployment("linear_regression", privacy=PRIVACY)
    kube.apply(body, {**body, "metadata": {"name": OTHER}})
    for name in (NAME, OTHER):
        kube.wait_ready(name)
    return {name: kube.list("pods", f"triton-operator.io/model-deployment={name}")[0] for name in (NAME, OTHER)}


@pytest.fixture(scope="module")
def address(serving: dict[str, Object]) -> str:
    """Of the pod that is attacked."""
    return str(serving[NAME]["status"]["podIP"])


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("same", {PORT_HTTPS}),
        ("allowed", {PORT_HTTPS}),
        ("metrics", {PORT_METRICS}),
        ("stranger", set()),
        ("host", {PORT_HTTPS, PORT_HEALTH, PORT_METRICS}),
    ],
)
def test_a_client_reaches_the_ports_that_the_policy_permits(
    who: str, expected: set[int], address: str, clients: dict[str, Kube]
) -> None:
    """No policy can stop the node, on which the kubelet checks the health. The stranger reaches other pods."""
    assert reaches(clients[who], "client", address, PORTS) == expected
    other = clients["allowed"].get("pod", "client")
    assert other
    assert reaches(clients[who], "client", other["status"]["podIP"], [PORT]) == {PORT}


def test_nobody_reaches_the_ports_of_triton_except_the_pod_itself(
    kube: Kube, address: str, serving: dict[str, Object]
) -> None:
    pod = serving[NAME]["metadata"]["name"]
    assert reaches(kube, pod, "127.0.0.1", PORTS, container="triton") >= {PORT_HTTP, PORT_GRPC}
    assert reaches(kube, pod, address, PORTS, container="triton") == {PORT_HTTPS, PORT_HEALTH, PORT_METRICS}


def test_a_pod_of_another_deployment_reaches_nothing_unless_another_policy_opens_it(
    kube: Kube, address: str, serving: dict[str, Object]
) -> None:
    pod = serving[OTHER]["metadata"]["name"]
    assert reaches(kube, pod, address, PORTS, container="triton") == set()
    kube.apply(open_egress(OTHER))
    kube.wait(lambda: reaches(kube, pod, address, PORTS, container="triton"), "its egress is open")
    assert reaches(kube, pod, address, PORTS, container="triton") == {PORT_HTTPS}
    kube.delete("networkpolicy", "opening")


@pytest.mark.parametrize("who", ["same", "allowed", "host"])
def test_who_reaches_the_port_needs_a_token(who: str, kube: Kube, address: str, clients: dict[str, Kube]) -> None:
    url = f"https://{address}:{PORT_HTTPS}/v2/models/linear_regression"
    token = kube.run("create", "token", CALLER, f"--audience={audience(kube.namespace, NAME)}").strip()

    def status(token: str) -> str:
        return clients[who].run("exec", "client", "--", "python3", "-c", _STATUS, url, token).strip()

    assert [status(""), status(token)] == ["401", "200"]


def test_a_serving_pod_reaches_nothing_over_any_protocol(
    node: RunningCluster, kube: Kube, address: str, serving: dict[str, Object], clients: dict[str, Kube]
) -> None:
    """Pods, the node, the API server and a host outside; over IPv6 only the node has an address on the same link."""
    if not isinstance(node, NativeCluster):
        pytest.skip("a host outside can be added to the native node only")
    pod = serving[NAME]["metadata"]["name"]
    interfaces = kube.run(
        "exec", pod, "-c", "triton", "--", "python3", "-c", "print(open('/proc/net/if_inet6').read())"
    )
    assert re.findall(r"^(\S{4})\S{28} .* eth0$", interfaces, re.MULTILINE) == ["fe80"], interfaces
    with outside_host(node) as outside:
        attempts = attempts_of_a_pod(kube, outside.address, f"{link_address(node, address)}%eth0", clients)
        errors = answered(kube, pod, attempts, container="triton")
        assert {each for each, error in errors.items() if not error} == set()
        kube.apply(open_egress(NAME))
        first = attempts[:1]
        kube.wait(lambda: not any(answered(kube, pod, first, container="triton").values()), "its egress is open")
        errors = answered(kube, pod, attempts, container="triton")
        assert {each: error for each, error in errors.items() if error} == {}
        kube.delete("networkpolicy", "opening")


def attempts_of_a_pod(kube: Kube, outside: str, link: str, clients: dict[str, Kube]) -> list[Attempt]:
    """Every protocol to every destination that can answer it."""
    pods = [(clients[who].get("pod", "client") or {})["status"]["podIP"] for who in ("same", "stranger")]
    dns = (kube.beside("kube-system").get("service", "kube-dns") or {})["spec"]["clusterIP"]
    api = (kube.beside("default").get("service", "kubernetes") or {})["spec"]["clusterIP"]
    hosts = [*pods, NODE_ADDRESS, outside, link]
    return [
        *(Attempt(protocol, host, PORT) for host in hosts for protocol in ("tcp", "udp")),
        *(Attempt("icmp", host) for host in hosts),
        *(Attempt("tcp", host, KUBELET) for host in (NODE_ADDRESS, link)),
        *(Attempt(protocol, dns, 53) for protocol in ("dns", "dns over tcp")),
        Attempt("tcp", api, 443),
        Attempt("tcp", NODE_ADDRESS, API_SERVER),
    ]


def open_egress(deployment: str) -> Object:
    """A policy of somebody else."""
    selector = {"matchLabels": {"triton-operator.io/model-deployment": deployment}}
    spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return {**kind, "metadata": {"name": "opening"}, "spec": spec}
