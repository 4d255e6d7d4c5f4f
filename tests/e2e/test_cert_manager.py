"""TLS mode CertManager with the controllers of cert-manager, and certificates of users in mode Secret, in real pods."""

from __future__ import annotations

import os
import re
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from hack.cluster import tools
from hack.cluster.handle import RunningCluster
from tests import cert_manager
from tests.kube import Kube, Object
from tests.proxy.certificates import Authority, Pair
from tests.served import Served, TLSClient
from training.verify import verify

NAME = "digits"
GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
ISSUER: Object = {"mode": "CertManager", "certManager": {"issuerRef": {"name": cert_manager.ISSUER}}}
SECRET: Object = {"mode": "Secret", "secretRef": {"name": "certificate"}}
REJECTED = "the serving certificate is for other.example.com; expected "


@pytest.fixture(scope="module")
def controllers(node: RunningCluster, kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """cert-manager, with an issuer in the namespace."""
    cert_manager.install(kube)
    with cert_manager.controllers(node.kubeconfig, kube.namespace, tmp_path_factory.mktemp("cert-manager")):
        kube.apply(*cert_manager.authority(kube.namespace))
        yield
    cert_manager.uninstall(kube)


@pytest.fixture
def shell(node: RunningCluster, kube: Kube, tmp_path: Path) -> Callable[[str], str]:
    """Run a command of the guide in the namespace, and return its output."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(node.kubeconfig.read_bytes())
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": f"{tools('kubectl')}:{os.environ['PATH']}"}

    def run(line: str) -> str:
        return subprocess.run(
            ["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    run(f"kubectl config set-context --current --namespace={kube.namespace}")
    return run


@pytest.mark.usefixtures("controllers")
def test_cert_manager_issues_and_renews_the_certificate(
    node: RunningCluster,
    kube: Kube,
    shell: Callable[[str], str],
    model_deployment: Callable[..., Object],
    tmp_path: Path,
) -> None:
    start = time.monotonic()
    kube.apply(model_deployment(NAME, privacy={"tls": ISSUER}))
    ready = kube.wait_ready(NAME)
    print(f"apply until Ready with cert-manager: {time.monotonic() - start:.1f} s")
    assert "caBundleRef" not in ready["status"]["endpoints"]
    shell(guide_command("kubectl get secret digits-tls"))
    with trusting(tmp_path / "ca.crt", node, kube) as served:
        with served.http() as http, served.grpc() as grpc:
            assert verify(NAME, http, grpc).passed
        pod, before = serving_pod(kube), served.certificate().serial_number
        cert_manager.renew(kube, f"{NAME}-tls")
        kube.wait(lambda: stored_serial(kube) != before, "it is renewed")
        mount_now(kube, pod)
        kube.wait(lambda: served.certificate().serial_number == stored_serial(kube), "the new one is served", 120)
    after = serving_pod(kube)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert [each["restartCount"] for each in after["status"]["initContainerStatuses"]] == [0, 0]


def test_a_certificate_of_a_user_that_clients_would_refuse_is_not_used(
    node: RunningCluster,
    kube: Kube,
    shell: Callable[[str], str],
    model_deployment: Callable[..., Object],
    tmp_path: Path,
) -> None:
    """A running pod keeps the previous one. A pod that starts reports the problem, because it has no other."""
    authority = Authority()
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    name = x509.DNSName(f"{NAME}.{kube.namespace}.svc")
    kube.apply(secret(authority.issue(names=[name])), model_deployment(NAME, privacy={"tls": SECRET}))
    kube.wait_ready(NAME)
    with trusting(tmp_path / "ca.crt", node, kube) as served:
        pod, before = serving_pod(kube), served.certificate().serial_number
        kube.apply(secret(authority.issue(names=[x509.DNSName("other.example.com")])))
        mount_now(kube, pod)
        command = guide_command("kubectl logs")
        kube.wait(lambda: REJECTED in shell(command), "it is logged", 120)
        assert served.certificate().serial_number == before
    kube.delete("pod", pod["metadata"]["name"], wait=False)
    condition = kube.wait_reason(NAME, "CertificateInvalid")
    assert f"container proxy: {REJECTED}" in condition["message"]


def guide_command(beginning: str) -> str:
    """A command of the guide."""
    (found,) = re.findall(rf"^({re.escape(beginning)}.*)$", GUIDE, re.MULTILINE)
    return str(found)


@contextmanager
def trusting(ca_file: Path, node: RunningCluster, kube: Kube) -> Iterator[Served]:
    """The deployment, for clients that trust the authorities in a file."""
    with node.reach(kube.namespace, NAME, "https") as address:
        yield Served(NAME, address, address, TLSClient(ca_file, f"{NAME}.{kube.namespace}.svc"))


def serving_pod(kube: Kube) -> Object:
    """The pod of the current revision; that of the previous one may still be terminating."""
    pods = kube.list("pods", f"triton-operator.io/model-deployment={NAME},app.kubernetes.io/component=server")
    (pod,) = (each for each in pods if "deletionTimestamp" not in each["metadata"])
    return pod


def stored_serial(kube: Kube) -> int:
    """The serial number of the certificate that cert-manager has stored."""
    body: Any = kube.get("secret", f"{NAME}-tls")
    return x509.load_pem_x509_certificate(b64decode(body["data"]["tls.crt"])).serial_number


def secret(pair: Pair) -> Object:
    """A Secret as users create it."""
    data = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
    metadata = {"name": SECRET["secretRef"]["name"]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "stringData": data}


def mount_now(kube: Kube, pod: Object) -> None:
    """Change the pod, so that the kubelet updates its volumes now instead of within about a minute."""
    kube.patch("pod", pod["metadata"]["name"], {"metadata": {"annotations": {"example.com/time": str(time.time())}}})
