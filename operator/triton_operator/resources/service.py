"""The two Services of a deployment, and the ports for clients.

With TLS, they have the port `https` for both protocols instead of `http` and `grpc`. While pods of an older revision
exist, its ports remain: a port has the name of a container port, so that requests reach only pods that listen on it.

The plain Service balances connections. The headless Service gives gRPC clients the address of every pod, because a gRPC
channel through a cluster IP stays on one pod. Every field that could expose the Service outside the cluster is set
explicitly, so that server-side apply owns it and reverts manual changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from triton_operator.api.names import (
    PORT_GRPC,
    PORT_HTTP,
    PORT_HTTPS,
    PORT_METRICS,
    headless_service_name,
    selector_labels,
)
from triton_operator.api.spec import ModelDeployment, ServiceType, Spec
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision
from triton_operator.resources.tls import terminates_tls


def service_ports(spec: Spec) -> list[dict[str, Any]]:
    """Ports of the plain Service; the revision stores them, because pods and Services must agree on them."""
    if terminates_tls(spec):
        return [_port("https", PORT_HTTPS, "https")]
    return [
        _port("http", PORT_HTTP, "http"),
        # Kubernetes defines this value for HTTP/2 without TLS (KEP-3726).
        _port("grpc", PORT_GRPC, "kubernetes.io/h2c"),
    ]


def client_ports(revisions: Iterable[Revision]) -> list[dict[str, Any]]:
    """Ports of the plain Service while pods of these revisions exist, the current revision first."""
    ports: dict[str, dict[str, Any]] = {}
    for revision in revisions:
        for port in revision.service_ports:
            ports.setdefault(port["name"], port)
    return list(ports.values())


def build_service(deployment: ModelDeployment, ports: Sequence[dict[str, Any]]) -> Manifest:
    """The Service that clients use."""
    service = deployment.spec.service
    metadata = child_metadata(deployment, deployment.metadata.name)
    if service.annotations:
        metadata["annotations"] = dict(service.annotations)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": service.type,
            "selector": selector_labels(deployment.metadata.name),
            "ports": list(ports),
            "externalIPs": [],
            "publishNotReadyAddresses": False,
            "sessionAffinity": "None",
        },
    }


def build_headless_service(deployment: ModelDeployment, ports: Sequence[dict[str, Any]]) -> Manifest:
    """The headless Service: one DNS record per ready pod, with the metrics port for scrapers."""
    name = deployment.metadata.name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(deployment, headless_service_name(name)),
        "spec": {
            "type": ServiceType.CLUSTER_IP,
            "clusterIP": "None",
            "selector": selector_labels(name),
            "ports": [*ports, _port("metrics", PORT_METRICS, "http")],
            "externalIPs": [],
            "publishNotReadyAddresses": False,
            "sessionAffinity": "None",
        },
    }


def _port(name: str, number: int, app_protocol: str) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": app_protocol}
