"""The types of `spec.exposure`: how clients outside the cluster reach a deployment through an ingress controller.

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


class Exposure(Struct, frozen=True):
    """The one way in which clients outside the cluster reach the deployment."""

    ingress: Ingress | None = None


def exposed_hosts(exposure: Exposure | None) -> tuple[str, ...]:
    """The host names that lead to the deployment."""
    return (exposure.ingress.host,) if exposure and exposure.ingress else ()
