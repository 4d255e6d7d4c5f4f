"""The names with which tests find the kinds of an API server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api_resources import ApiResources
from triton_operator.sdk.errors import UnreachableError


def a_kind(kind: str, plural: str, *short: str, namespaced: bool = True) -> dict[str, Any]:
    return {"kind": kind, "name": plural, "shortNames": short, "namespaced": namespaced}


METRICS = "metrics.k8s.io/v1beta1"
KINDS = {
    "v1": [a_kind("Pod", "pods", "po"), a_kind("Pod", "pods/log"), a_kind("Node", "nodes", "no", namespaced=False)],
    METRICS: [a_kind("PodMetrics", "pods")],
    "apps/v1": [a_kind("Deployment", "deployments", "deploy")],
}


def get_path(path: str) -> dict[str, Any]:
    """The response of an API server on which the aggregated API of metrics is down."""
    if path == "/apis":
        return {"groups": [{"preferredVersion": {"groupVersion": version}} for version in KINDS if "/" in version]}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version == METRICS:
        raise UnreachableError("503 Service Unavailable")
    return {"groupVersion": version, "resources": KINDS[version]}


@pytest.mark.parametrize("name", ["deployments", "Deployment", "deploy"])
@pytest.mark.parametrize("suffix", ["", ".apps", ".v1.apps"])
def test_a_kind_is_found_by_each_name_of_kubectl(name: str, suffix: str) -> None:
    found = ApiResources(get_path).find(name + suffix)
    assert found.resource.path("shop", "digits") == "/apis/apps/v1/namespaces/shop/deployments/digits"


def test_a_name_of_two_groups_is_that_of_the_core_group() -> None:
    def answer(path: str) -> dict[str, Any]:
        return {"groupVersion": METRICS, "resources": KINDS[METRICS]} if METRICS in path else get_path(path)

    kinds = ApiResources(answer)
    assert kinds.find("deployments").namespaced  # All groups have been read.
    assert kinds.find("pods.metrics.k8s.io").resource.kind == "PodMetrics"
    assert kinds.find("pods").resource.kind == "Pod"
    assert not kinds.find("no").namespaced


def test_an_unknown_kind_is_an_error_that_names_what_could_not_be_read() -> None:
    with pytest.raises(LookupError, match=f"no kind 'models'; {METRICS} cannot be read: 503 Service Unavailable"):
        ApiResources(get_path).find("models")
