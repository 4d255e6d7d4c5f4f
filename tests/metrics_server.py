"""metrics-server on the native node: its API, and the program, which reads the usage of pods from the kubelet.

The program runs in the node's network, because its API is reached through a Service. It has an administrator's
permissions; as an add-on of a cluster it has a ServiceAccount with its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.native.layout import NODE_ADDRESS
from hack.cluster.native.node import NativeCluster
from hack.cluster.process import ChildProcess
from hack.programs.catalogue import METRICS_SERVER, tools
from hack.programs.gobuild import source_folder
from tests.kube import Kube, Object

MODULE = "sigs.k8s.io/metrics-server"
API = "v1beta1.metrics.k8s.io"
_NAME, _PORT = "metrics-server", 4443
_RESOLUTION_SECONDS = 10
"""How often it reads from the kubelet: the shortest interval that it accepts."""


@contextmanager
def metrics_server(node: NativeCluster, kube: Kube, folder: Path) -> Iterator[None]:
    """Serve the API `metrics.k8s.io` while the block runs; the log is in `folder`."""
    system = kube.beside("kube-system")
    process = ChildProcess(_command(node, folder), folder / "metrics-server.log")
    try:
        system.apply(*_service())
        system.run("apply", "-f", str(_api_file()), namespaced=False)
        process.await_ready(lambda: _is_available(system), 60)
        yield
    finally:
        # Without a server, the API would delay the deletion of every namespace.
        system.run("delete", "-f", str(_api_file()), namespaced=False)
        system.delete("service", _NAME)
        process.stop(5)


def _command(node: NativeCluster, folder: Path) -> list[str]:
    pki = node.layout.endpoints.pki
    kubeconfig = pki / "admin.kubeconfig"
    return [
        *("nsenter", "--target", str(node.record.supervisor), "--net", "--"),
        str(tools(_NAME) / _NAME),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={NODE_ADDRESS}",
        f"--secure-port={_PORT}",
        f"--cert-dir={folder}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-request-timeout=5s",
        f"--metric-resolution={_RESOLUTION_SECONDS}s",
    ]


def _service() -> list[Object]:
    """The Service of the API; its only endpoint is the program on the node."""
    port = {"name": "https", "port": 443, "targetPort": _PORT}
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": _NAME, "labels": {"kubernetes.io/service-name": _NAME}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS]}],
        "ports": [{"name": "https", "port": _PORT}],
    }
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": _NAME}, "spec": {"ports": [port]}},
        endpoints,
    ]


def _api_file() -> Path:
    return source_folder(METRICS_SERVER, MODULE) / "manifests" / "base" / "apiservice.yaml"


def _is_available(kube: Kube) -> bool:
    body = kube.get("apiservice", API) or {}
    conditions = body.get("status", {}).get("conditions", [])
    return ("Available", "True") in [(each["type"], each["status"]) for each in conditions]
