"""The two Services of a deployment, and the ports for clients.

With TLS, they have the port `https` for both protocols instead of `http` and `grpc`. While pods of an older revision
exist, its ports remain: a port has the name of a container port, so that requests reach only pods that listen on it.

The plain Service balances connections, and `spec.service.ports` renames and renumbers its ports. The headless Service
gives gRPC clients the address of every pod, because a gRPC channel through a cluster IP stays on one pod. Its ports are
those of the containers, because its clients connect to the pods. The fields of the type and of `externalIPs`, which
could expose the Service outside the cluster, are set explicitly, so that server-side apply owns them and reverts manual
changes.
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
    serving_labels,
)
from triton_operator.api.service import Service, ServiceType, client_ports
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision
from triton_operator.resources.tls import terminates_tls


def container_ports(spec: Spec) -> list[dict[str, Any]]:
    """Ports for clients of new pods, as ports of a Service with the same names and numbers.

    The revision stores them, because pods and Services must agree on them.
    """
    if terminates_tls(spec):
        return [_port("https", PORT_HTTPS, "https")]
    return [
        _port("http", PORT_HTTP, "http"),
        # Kubernetes defines this value for HTTP/2 without TLS (KEP-3726).
        _port("grpc", PORT_GRPC, "kubernetes.io/h2c"),
    ]


def ports_of_revisions(revisions: Iterable[Revision]) -> list[dict[str, Any]]:
    """Ports for clients while pods of these revisions exist, the current revision first."""
    ports: dict[str, dict[str, Any]] = {}
    for revision in revisions:
        for port in revision.service_ports:
            ports.setdefault(port["name"], port)
    return list(ports.values())


def build_service(
    deployment: ModelDeployment, ports: Sequence[dict[str, Any]], *, with_canary: bool = False
) -> Manifest:
    """The Service that clients use; `ports` are those of the containers."""
    service = deployment.spec.service
    metadata = child_metadata(deployment, deployment.metadata.name)
    # The operator's labels take precedence, because it finds its children by them.
    metadata["labels"] = service.labels | metadata["labels"]
    if service.annotations:
        metadata["annotations"] = dict(service.annotations)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": service.type,
            "selector": serving_labels(deployment.metadata.name, with_canary=with_canary),
            "ports": [_client_port(service, port) for port in ports],
            "externalIPs": [],
            "publishNotReadyAddresses": False,
            "sessionAffinity": "None",
            **_traffic(service),
            **_ip_families(service),
        },
    }


def build_headless_service(
    deployment: ModelDeployment, ports: Sequence[dict[str, Any]], *, with_canary: bool = False
) -> Manifest:
    """The headless Service: one DNS record per ready pod, with the metrics port for scrapers."""
    name = deployment.metadata.name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(deployment, headless_service_name(name)),
        "spec": {
            "type": ServiceType.CLUSTER_IP,
            "clusterIP": "None",
            "selector": serving_labels(name, with_canary=with_canary),
            "ports": [*ports, _port("metrics", PORT_METRICS, "http")],
            "externalIPs": [],
            "publishNotReadyAddresses": False,
            "sessionAffinity": "None",
            **_ip_families(deployment.spec.service),
        },
    }


def _client_port(service: Service, container_port: dict[str, Any]) -> dict[str, Any]:
    """The port of the plain Service that leads to this port of the containers."""
    chosen = client_ports(service)[container_port["name"]]
    node_port = {} if chosen.node_port is None else {"nodePort": chosen.node_port}
    return {**container_port, "name": chosen.name, "port": chosen.port, **node_port}


def _traffic(service: Service) -> Manifest:
    """How traffic reaches the pods; unset fields are omitted, and Kubernetes chooses them."""
    ranges = service.load_balancer_source_ranges
    fields: Manifest = {
        "loadBalancerClass": service.load_balancer_class,
        "loadBalancerSourceRanges": list(ranges) if ranges else None,
        "externalTrafficPolicy": service.external_traffic_policy,
        "trafficDistribution": service.traffic_distribution,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _ip_families(service: Service) -> Manifest:
    """For both Services, because the headless one has a record for each address of a pod."""
    return {"ipFamilyPolicy": service.ip_family_policy} if service.ip_family_policy else {}


def _port(name: str, number: int, app_protocol: str) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": app_protocol}
