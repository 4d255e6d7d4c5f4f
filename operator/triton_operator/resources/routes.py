"""The routes of a deployment for the Gateway API: one for each protocol, and the policy for TLS to the pods.

Pure. Only requests for inference, health and metadata are routed to the pods. Fields with a default are set
explicitly, because server-side apply gives a list of the Gateway API a single owner, who then also owns the defaults in
it. Like an Ingress, a route does not change the NetworkPolicy.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.exposure import Gateway, ParentRef
from triton_operator.api.names import CA_CONFIG_MAP, server_name
from triton_operator.api.service import client_ports
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.pod import open_endpoints
from triton_operator.triton.client_apis import HTTP_PREFIXES, HTTP_ROOT, grpc_methods

_API_VERSION = "gateway.networking.k8s.io/v1"


def build_routes(deployment: ModelDeployment, gateway: Gateway, *, with_tls: bool) -> list[Manifest]:
    """The routes, and with `with_tls` a BackendTLSPolicy, because the pods that clients reach accept only TLS."""
    http = [{"path": {"type": "Exact", "value": HTTP_ROOT}}]
    http += [{"path": {"type": "PathPrefix", "value": path}} for path in HTTP_PREFIXES]
    grpc = [_method(path) for path in grpc_methods(open_endpoints(deployment.spec))]
    ports = client_ports(deployment.spec.service)
    http_port, grpc_port = (ports["https" if with_tls else protocol].port for protocol in ("http", "grpc"))
    policy = [_backend_policy(deployment, gateway)] if with_tls else []
    return [
        *policy,  # before the routes, so that no gateway connects without TLS
        _route("HTTPRoute", deployment, gateway, http, http_port),
        _route("GRPCRoute", deployment, gateway, grpc, grpc_port),
    ]


def _route(
    kind: str, deployment: ModelDeployment, gateway: Gateway, matches: list[dict[str, Any]], port: int
) -> Manifest:
    name = deployment.metadata.name
    backend = {"group": "", "kind": "Service", "name": name, "port": port, "weight": 1}
    spec = {
        "parentRefs": [_parent(each) for each in gateway.parent_refs],
        "hostnames": list(gateway.hostnames),
        "rules": [{"matches": matches, "backendRefs": [backend]}],
    }
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": child_metadata(deployment, name), "spec": spec}


def _parent(reference: ParentRef) -> Manifest:
    fields: Manifest = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "namespace": reference.namespace,
        "name": reference.name,
        "sectionName": reference.section_name,
        "port": reference.port,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _method(path: str) -> Manifest:
    _, service, method = path.split("/")
    return {"method": {"type": "Exact", "service": service, "method": method}}


def _backend_policy(deployment: ModelDeployment, gateway: Gateway) -> Manifest:
    """The gateway verifies the certificate of the pods, for the name of the Service."""
    metadata = deployment.metadata
    bundle = gateway.ca_bundle_config_map_ref.name if gateway.ca_bundle_config_map_ref else CA_CONFIG_MAP
    port = client_ports(deployment.spec.service)["https"].name
    return {
        "apiVersion": _API_VERSION,
        "kind": "BackendTLSPolicy",
        "metadata": child_metadata(deployment, metadata.name),
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": metadata.name, "sectionName": port}],
            "validation": {
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": bundle}],
                "hostname": server_name(metadata.namespace, metadata.name),
            },
        },
    }
