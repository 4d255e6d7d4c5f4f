"""The addresses under which clients reach a deployment: inside the cluster, and from outside.

Pure. Input: an ObservedState, and the revision whose pods clients can reach. Output: the Endpoints of the status.
"""

from __future__ import annotations

from triton_operator.api.names import (
    CA_CONFIG_MAP,
    CA_KEY,
    PORT_METRICS,
    audience,
    headless_service_name,
    server_name,
)
from triton_operator.api.privacy import TLSMode
from triton_operator.api.service import Service, ServiceType, client_ports
from triton_operator.api.status import CABundleRef, Endpoints
from triton_operator.cluster.observed import Kind, ServiceState
from triton_operator.reconcile.exposed import ingress_addresses
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.resources.proxy_inputs import needs_cluster_keys
from triton_operator.resources.revision import RevisionSummary

MAX_EXTERNAL = 32
"""URLs in the status, as the CRD allows; load balancers have one address or a few."""

_PLAIN, _TLS = ("http", "grpc"), ("https",)


def derive_endpoints(observed: ObservedState, revision: RevisionSummary | None) -> Endpoints:
    """The addresses of pods of this revision; before the first one, there are no Services."""
    deployment = observed.deployment
    name, namespace = deployment.metadata.name, deployment.metadata.namespace
    host = server_name(namespace, name)
    ports = client_ports(deployment.spec.service)
    metrics = f"http://{headless_service_name(name)}.{namespace}.svc:{PORT_METRICS}/metrics"
    if revision is None or not revision.terminates_tls:
        return Endpoints(
            http=f"http://{host}:{ports['http'].port}",
            grpc=f"{host}:{ports['grpc'].port}",
            metrics=metrics,
            external=_external(observed, _PLAIN),
        )
    managed = revision.tls_mode is TLSMode.MANAGED
    return Endpoints(
        metrics=metrics,
        https=f"https://{host}:{ports['https'].port}",
        ca_bundle_ref=CABundleRef(CA_CONFIG_MAP, CA_KEY) if managed else None,
        audience=audience(namespace, name) if needs_cluster_keys(deployment.spec) else "",
        external=_external(observed, _TLS),
    )


def _external(observed: ObservedState, schemes: tuple[str, ...]) -> tuple[str, ...]:
    """URLs of an Ingress, and for each address of a load balancer; a scheme is also the name of a container's port."""
    service = observed.deployment.spec.service
    hosts = map(_bracketed, _addresses(observed, service))
    ports = client_ports(service)
    urls = [f"{scheme}://{host}:{ports[scheme].port}" for host in hosts for scheme in schemes]
    return tuple([*_ingress_urls(observed), *urls][:MAX_EXTERNAL])


def _ingress_urls(observed: ObservedState) -> list[str]:
    """The URLs of the host, if the controller has given every Ingress an address."""
    exposure = observed.deployment.spec.exposure
    if exposure is None or exposure.ingress is None or not ingress_addresses(observed):
        return []
    host = exposure.ingress.host
    return [f"https://{host}:443"] if exposure.ingress.tls else [f"http://{host}:80", f"grpc://{host}:80"]


def _addresses(observed: ObservedState, service: Service) -> tuple[str, ...]:
    child = observed.children.get((Kind.SERVICE, observed.deployment.metadata.name))
    if service.type is not ServiceType.LOAD_BALANCER or child is None or not isinstance(child.state, ServiceState):
        return ()
    return child.state.addresses


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
