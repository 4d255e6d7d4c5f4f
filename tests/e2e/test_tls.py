"""TLS mode Managed in a real pod: both protocols, closed plain ports, repaired edits."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hack.cluster import tools
from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.proxy.http2 import PREFACE
from tests.served import Served, serve
from training.verify import verify
from triton_operator.api.names import (
    CA_CONFIG_MAP,
    CA_KEY,
    PORT_GRPC,
    PORT_HEALTH,
    PORT_HTTP,
    PORT_HTTPS,
    SERVING_SECRET,
    serving_certificate_key,
)
from triton_operator.sdk import Client, Protocol
from triton_operator.sdk.kube_context import KubeContext

NAME = "digits"


@pytest.fixture(scope="module", autouse=True)
def deployed(kube: Kube, model_deployment: Callable[..., Object]) -> Object:
    """Serve digits with TLS; print the time from the apply until it is Ready."""
    start = time.monotonic()
    kube.apply(model_deployment(NAME, privacy={"tls": {"mode": "Managed"}}))
    ready = kube.wait_ready(NAME)
    print(f"apply until Ready with TLS: {time.monotonic() - start:.1f} s")
    return ready


@pytest.fixture
def served(node: RunningCluster, kube: Kube) -> Iterator[Served]:
    with serve(node, kube, NAME) as served:
        assert served.tls, "the status has no https address"
        yield served


def test_results_over_tls_equal_those_of_pytorch(served: Served) -> None:
    with served.http() as http, served.grpc() as grpc:
        report = verify(NAME, http, grpc)
    assert set(report.differences) == {"HTTP", "gRPC"}
    assert report.passed, report.lines()


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_sdk_finds_the_authorities_by_the_name_of_the_deployment(
    protocol: Protocol, node: RunningCluster, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tools('kubectl')}:{os.environ['PATH']}")
    context = KubeContext(str(node.kubeconfig))
    with Client(NAME, kube.namespace, protocol=protocol, cluster=context) as client:
        assert client.is_ready(NAME)
        assert [each.name for each in client.interface(NAME).inputs] == ["INPUT__0"]


def test_curl_trusts_the_bundle_that_tritonctl_prints(
    node: RunningCluster, kube: Kube, served: Served, tmp_path: Path
) -> None:
    environment = {**os.environ, "KUBECONFIG": str(node.kubeconfig), "PATH": f"{tools('kubectl')}:{os.environ['PATH']}"}
    command = [shutil.which("tritonctl") or "tritonctl", "ca", NAME, "--namespace", kube.namespace]
    bundle = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert served.tls
    assert bundle.strip() == served.tls.ca_file.read_text().strip()
    assert served.status_code("v2/health/ready") == 200


def test_only_tls_1_3_with_the_right_name_and_authority_is_spoken(served: Served) -> None:
    assert handshake(served) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(served, name=f"other.{NAME}.svc")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get"):
        handshake(served, trusted=False)
    with pytest.raises(ssl.SSLError):
        handshake(served, version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("data", [b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", PREFACE + bytes(64)])
def test_a_request_without_encryption_gets_no_answer(served: Served, data: bytes) -> None:
    assert served.status_code("v2/health/live") == 200
    received = b""
    with connected(served) as plain, suppress(ConnectionError):
        plain.sendall(data)
        while part := plain.recv(65536):
            received += part
    assert b"HTTP" not in received


def test_triton_listens_on_loopback_only(kube: Kube) -> None:
    """The serving pod itself connects to its address, which no policy forbids."""
    pod = serving_pod(kube)
    address = pod["status"]["podIP"]
    assert connects(kube, pod, address, PORT_HTTPS)
    assert connects(kube, pod, address, PORT_HEALTH)
    assert connects(kube, pod, "127.0.0.1", PORT_HTTP)
    assert connects(kube, pod, "127.0.0.1", PORT_GRPC)
    assert not connects(kube, pod, address, PORT_HTTP)
    assert not connects(kube, pod, address, PORT_GRPC)


def test_the_service_has_the_port_for_tls_only(kube: Kube) -> None:
    service = kube.get("service", NAME)
    assert service
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("https", PORT_HTTPS)]


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("configmap", f"{NAME}-proxy", "policy.json"),
        ("configmap", CA_CONFIG_MAP, CA_KEY),
        ("secret", SERVING_SECRET, serving_certificate_key(NAME)),
    ],
)
def test_an_edit_is_undone(kind: str, name: str, key: str, kube: Kube) -> None:
    before = kube.get(kind, name)
    assert before
    kube.patch(kind, name, {"data": {key: "bm90aGluZw=="}})

    def repaired() -> bool:
        body = kube.get(kind, name)
        return body is not None and body["data"][key] != "bm90aGluZw=="

    kube.wait(repaired, f"{kind} {name} is repaired", 20)
    if kind == "configmap":
        body = kube.get(kind, name)
        assert body
        assert body["data"] == before["data"]


def test_privacy_lacks_nothing_but_the_proof_that_the_network_enforces_policies(kube: Kube) -> None:
    body = kube.get("modeldeployment", NAME)
    assert body
    controls = {each["name"]: each["state"] for each in body["status"]["privacy"]["controls"]}
    assert controls["TLS"] == "Enforced"
    assert controls["NetworkPolicy"] == "Enforced"
    condition = kube.condition(NAME, "PrivacyEnforced")
    assert condition
    assert (condition["status"], condition["reason"]) != ("False", "TLSNotConfigured")


def handshake(
    served: Served,
    *,
    name: str = "",
    trusted: bool = True,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> str | None:
    """Connect with exactly this TLS version, and return the version of the connection."""
    assert served.tls
    context = ssl.create_default_context(cafile=str(served.tls.ca_file) if trusted else None)
    context.minimum_version = context.maximum_version = version
    with connected(served) as plain, context.wrap_socket(plain, server_hostname=name or served.tls.server_name) as tls:
        return tls.version()


def connected(served: Served) -> socket.socket:
    host, _, port = served.http_address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def serving_pod(kube: Kube) -> Object:
    (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={NAME},app.kubernetes.io/component=server")
    return pod


def connects(kube: Kube, pod: Object, address: str, port: int) -> bool:
    """Return whether a process of the pod can connect to the port; any failure other than a refusal fails the test."""
    program = (
        "import socket, sys\n"
        "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close(); print('connected')\n"
        "except ConnectionRefusedError: print('refused')"
    )
    name = pod["metadata"]["name"]
    output = kube.run("exec", name, "-c", "triton", "--", "python3", "-c", program, address, str(port)).strip()
    assert output in {"connected", "refused"}, output
    return output == "connected"
