"""The definitions of the Gateway API in a test cluster, from the Go module that `hack/tools/gatewayapi` requires."""

from __future__ import annotations

import json

from hack.programs.catalogue import GATEWAY_API
from hack.programs.gobuild import source_folder
from tests.kube import Kube

MODULE = "sigs.k8s.io/gateway-api"
_KINDS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "backendtlspolicies")


def install(kube: Kube) -> None:
    """Create the definitions, and wait until they are served."""
    kube.run("apply", "--server-side", *_files(), namespaced=False)
    kube.wait(lambda: _are_established(kube), "the kinds of the Gateway API are served")


def uninstall(kube: Kube) -> None:
    """Delete the definitions with all their objects."""
    kube.run("delete", "--ignore-not-found", *_files(), namespaced=False)


def _files() -> list[str]:
    """Options of kubectl with the files of the CustomResourceDefinitions."""
    folder = source_folder(GATEWAY_API, MODULE) / "config" / "crd" / "standard"
    return [f"--filename={folder / f'gateway.networking.k8s.io_{kind}.yaml'}" for kind in _KINDS]


def _are_established(kube: Kube) -> bool:
    items = json.loads(kube.run("get", *_files(), "-o", "json", namespaced=False))["items"]
    return all(_is_established(body.get("status", {}).get("conditions") or []) for body in items)


def _is_established(conditions: list[dict[str, str]]) -> bool:
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)
