"""The definitions of the Gateway API in a test cluster, from the Go module that `hack/tools/gatewayapi` requires."""

from __future__ import annotations

from pathlib import Path

from hack.programs.catalogue import GATEWAY_API
from hack.programs.gobuild import source_folder
from tests import foreign_definitions
from tests.kube import Kube

MODULE = "sigs.k8s.io/gateway-api"
_KINDS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "backendtlspolicies")


def install(kube: Kube) -> None:
    """Create the definitions, and wait until they are served."""
    foreign_definitions.install(kube, _files())


def uninstall(kube: Kube) -> None:
    """Delete the definitions with all their objects."""
    foreign_definitions.uninstall(kube, _files())


def _files() -> list[Path]:
    folder = source_folder(GATEWAY_API, MODULE) / "config" / "crd" / "standard"
    return [folder / f"gateway.networking.k8s.io_{kind}.yaml" for kind in _KINDS]
