"""The types of `spec.exposure`: how clients outside the cluster reach a deployment, by an Ingress or a Gateway.

`spec` has one field of type Exposure, None by default: then nothing leads to the deployment from outside. The CRD
rejects invalid values; `reconcile.exposure_rules` has the same rules.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.struct import Struct


class IngressTLS(Struct, frozen=True):
    """TLS between clients and the controller; without a Secret, the controller uses its default certificate."""

    secret_name: str | None = None


class Ingress(Struct, frozen=True):
    """An Ingress for each protocol; `grpc_annotations` override `annotations` in that of gRPC."""

    host: str
    class_name: str | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    grpc_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    tls: IngressTLS | None = None


class ParentRef(Struct, frozen=True):
    """A Gateway, or one of its listeners; `namespace` None is that of the deployment."""

    name: str
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = None


class GatewayCABundle(Struct, frozen=True):
    """A ConfigMap of the deployment's namespace, whose key `ca.crt` has certificates of authorities."""

    name: str


class Gateway(Struct, frozen=True):
    """Routes of the Gateway API for both protocols; `ca_bundle_config_map_ref` verifies the user's own certificates."""

    parent_refs: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    ca_bundle_config_map_ref: GatewayCABundle | None = None


class Exposure(Struct, frozen=True):
    """The one way in which clients outside the cluster reach the deployment."""

    ingress: Ingress | None = None
    gateway: Gateway | None = None


def exposed_hosts(exposure: Exposure | None) -> tuple[str, ...]:
    """The host names that lead to the deployment."""
    if exposure is None:
        return ()
    if exposure.gateway:
        return exposure.gateway.hostnames
    return (exposure.ingress.host,) if exposure.ingress else ()
