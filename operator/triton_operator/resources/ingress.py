"""The Ingresses of a deployment: one for each protocol, because annotations about the backend apply to all its paths.

Pure. Only the paths of inference, health and metadata are routed to the pods. An Ingress does not change the
NetworkPolicy: the controller's pods need a peer in `spec.privacy.network.allowFrom`, unless they are in the same
namespace.
"""

from __future__ import annotations

from collections.abc import Iterable

from triton_operator.api.exposure import Ingress
from triton_operator.api.names import ingress_name
from triton_operator.api.service import client_ports
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.pod import open_endpoints
from triton_operator.triton.client_apis import HTTP_PREFIXES, HTTP_ROOT, grpc_methods

PROTOCOLS = ("http", "grpc")


def build_ingresses(deployment: ModelDeployment, ingress: Ingress, *, with_tls: bool) -> list[Manifest]:
    """The Ingresses of HTTP and gRPC; `with_tls`: the pods that clients reach accept only TLS."""
    http = [("Exact", HTTP_ROOT), *(("Prefix", path) for path in HTTP_PREFIXES)]
    grpc = [("Exact", method) for method in grpc_methods(open_endpoints(deployment.spec))]
    paths = {"http": http, "grpc": grpc}
    annotations = {"http": ingress.annotations, "grpc": {**ingress.annotations, **ingress.grpc_annotations}}
    ports = client_ports(deployment.spec.service)
    return [
        _ingress(deployment, ingress, protocol, annotations[protocol], _paths(deployment, port.name, paths[protocol]))
        for protocol in PROTOCOLS
        for port in [ports["https" if with_tls else protocol]]
    ]


def _ingress(
    deployment: ModelDeployment, ingress: Ingress, protocol: str, annotations: dict[str, str], paths: list[Manifest]
) -> Manifest:
    metadata = child_metadata(deployment, ingress_name(deployment.metadata.name, protocol))
    if annotations:
        metadata["annotations"] = dict(annotations)
    spec: Manifest = {"rules": [{"host": ingress.host, "http": {"paths": paths}}]}
    if ingress.class_name:
        spec["ingressClassName"] = ingress.class_name
    if ingress.tls:
        secret = {"secretName": ingress.tls.secret_name} if ingress.tls.secret_name else {}
        spec["tls"] = [{"hosts": [ingress.host], **secret}]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def _paths(deployment: ModelDeployment, port: str, paths: Iterable[tuple[str, str]]) -> list[Manifest]:
    backend = {"service": {"name": deployment.metadata.name, "port": {"name": port}}}
    return [{"path": path, "pathType": path_type, "backend": backend} for path_type, path in paths]
