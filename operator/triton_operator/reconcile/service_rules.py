"""Checks of `spec.service` that the CRD also has: what Kubernetes does not allow, or what would break a change of TLS.

Pure. Input: a Service. Raises InvalidSpecError with all that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network

from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.service import Service, ServiceType, client_ports
from triton_operator.resources.pod_metadata import RESERVED_MESSAGE, is_reserved_label


def check_service(service: Service) -> None:
    """Raise InvalidSpecError for everything that is wrong; the path is that of the first mistake."""
    if service == Service():
        return
    found = [*_of_other_types(service), *_ports(service), *_labels(service), *_source_ranges(service)]
    if found:
        raise InvalidSpecError.of(found)


def _of_other_types(service: Service) -> Iterator[Problem]:
    """Fields that have no meaning for the type; Kubernetes rejects them."""
    if service.type is not ServiceType.LOAD_BALANCER:
        message = f"must not be set unless type is LoadBalancer; it is {service.type}"
        if service.load_balancer_class is not None:
            yield Problem("spec.service.loadBalancerClass", message)
        if service.load_balancer_source_ranges is not None:
            yield Problem("spec.service.loadBalancerSourceRanges", message)
    if service.type is ServiceType.CLUSTER_IP:
        message = "must not be set unless type is NodePort or LoadBalancer; it is ClusterIP"
        if service.external_traffic_policy is not None:
            yield Problem("spec.service.externalTrafficPolicy", message)
        for name, port in client_ports(service).items():
            if port.node_port is not None:
                yield Problem(f"spec.service.ports.{name}.nodePort", message)


def _ports(service: Service) -> Iterator[Problem]:
    """While pods with and without TLS exist, the Service has all three ports."""
    ports = client_ports(service).values()
    yield from _twice("numbers", [str(port.port) for port in ports])
    yield from _twice("names", [port.name for port in ports])
    yield from _twice("node ports", [str(port.node_port) for port in ports if port.node_port is not None])


def _twice(what: str, values: list[str]) -> Iterator[Problem]:
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        message = (
            f"http, grpc and https must have different {what}, because the Service has all of them while pods with and "
            f"without TLS exist; {', '.join(repeated)} is used twice"
        )
        yield Problem("spec.service.ports", message)


def _labels(service: Service) -> Iterator[Problem]:
    """A label of Kubernetes can, for example, assign a Service to a proxy other than kube-proxy."""
    for key in service.labels:
        if is_reserved_label(key):
            yield Problem("spec.service.labels", f"{key} {RESERVED_MESSAGE}")


def _source_ranges(service: Service) -> Iterator[Problem]:
    for index, text in enumerate(service.load_balancer_source_ranges or ()):
        try:
            ip_network(text)
        except ValueError as error:
            yield Problem(f"spec.service.loadBalancerSourceRanges[{index}]", str(error))
