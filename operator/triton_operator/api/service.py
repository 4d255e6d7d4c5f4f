"""The types of `spec.service`: the Service that clients use, and how it is reached from outside the cluster.

`spec` has one field of type Service. The CRD rejects combinations that Kubernetes does not allow;
`reconcile.service_rules` has the same rules.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_HTTPS
from triton_operator.api.struct import Struct


class ServiceType(StrEnum):
    """The supported types of the deployment's Service."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ExternalTrafficPolicy(StrEnum):
    """Whether nodes forward traffic from outside to pods on other nodes; Local preserves the client's address."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class TrafficDistribution(StrEnum):
    """The pods that clients inside the cluster prefer; PreferClose is the former name of PreferSameZone."""

    PREFER_CLOSE = "PreferClose"
    PREFER_SAME_ZONE = "PreferSameZone"
    PREFER_SAME_NODE = "PreferSameNode"


class IPFamilyPolicy(StrEnum):
    """Whether the Services have addresses of one family (IPv4, IPv6) or of both."""

    SINGLE_STACK = "SingleStack"
    PREFER_DUAL_STACK = "PreferDualStack"
    REQUIRE_DUAL_STACK = "RequireDualStack"


class ServicePort(Struct, frozen=True):
    """What differs from the port of the container: its name and its number in the Service, and its port on nodes."""

    name: str | None = None
    port: int | None = None
    node_port: int | None = None


class ServicePorts(Struct, frozen=True):
    """The ports for clients, by the name of the container's port; with TLS, only `https` is used."""

    http: ServicePort = ServicePort()
    grpc: ServicePort = ServicePort()
    https: ServicePort = ServicePort()


class Service(Struct, frozen=True):
    """The Service that clients use; `hostnames` are further DNS names in the serving certificate."""

    type: ServiceType = ServiceType.CLUSTER_IP
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    hostnames: tuple[str, ...] = ()
    ports: ServicePorts = ServicePorts()
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] | None = None
    external_traffic_policy: ExternalTrafficPolicy | None = None
    traffic_distribution: TrafficDistribution | None = None
    ip_family_policy: IPFamilyPolicy | None = None


class ClientPort(NamedTuple):
    """A port of the Service; `node_port` None is one that Kubernetes chooses, if the type has one."""

    name: str
    port: int
    node_port: int | None = None


CONTAINER_PORTS = {"http": PORT_HTTP, "grpc": PORT_GRPC, "https": PORT_HTTPS}
"""The ports for clients on which containers listen, by their names."""


def client_ports(service: Service) -> dict[str, ClientPort]:
    """The ports of the Service by the names of the containers' ports."""
    chosen = {"http": service.ports.http, "grpc": service.ports.grpc, "https": service.ports.https}
    return {
        name: ClientPort(chosen[name].name or name, chosen[name].port or number, chosen[name].node_port)
        for name, number in CONTAINER_PORTS.items()
    }
