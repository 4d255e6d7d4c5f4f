"""The children through which clients outside the cluster reach a deployment. Pure."""

from __future__ import annotations

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.ingress import build_ingresses
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.routes import build_routes


def build_exposure(deployment: ModelDeployment, *, with_tls: bool) -> list[Manifest]:
    """The children of `spec.exposure`; `with_tls`: the pods that clients reach accept only TLS."""
    exposure = deployment.spec.exposure
    if exposure and exposure.ingress:
        return build_ingresses(deployment, exposure.ingress, with_tls=with_tls)
    if exposure and exposure.gateway:
        return build_routes(deployment, exposure.gateway, with_tls=with_tls)
    return []
