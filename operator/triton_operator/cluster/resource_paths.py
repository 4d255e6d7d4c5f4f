"""Group, version and plural of each kind, and the URL paths derived from them. Pure."""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.keda import KEDA_API_VERSION
from triton_operator.api.names import API_VERSION, KIND, PLURAL
from triton_operator.cluster.observed import Kind


class Resource(NamedTuple):
    """One kind of object as the API names it."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path of the collection in `namespace` (None: of all namespaces), or of one object in it."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *filter(None, (name, subresource))])


_GATEWAY_API = "gateway.networking.k8s.io/v1"

CHILDREN: dict[Kind, Resource] = {
    kind: Resource(api_version, kind.value, kind.value.lower() + "s")
    for kind, api_version in {
        Kind.SERVICE_ACCOUNT: "v1",
        Kind.CONFIG_MAP: "v1",
        Kind.DEPLOYMENT: "apps/v1",
        Kind.SERVICE: "v1",
        Kind.AUTOSCALER: "autoscaling/v2",
        Kind.DISRUPTION_BUDGET: "policy/v1",
        Kind.REVISION: "apps/v1",
        Kind.CLAIM: "v1",
        Kind.JOB: "batch/v1",
        Kind.CERTIFICATE: "cert-manager.io/v1",
        Kind.HTTP_ROUTE: _GATEWAY_API,
        Kind.GRPC_ROUTE: _GATEWAY_API,
        Kind.SCALED_OBJECT: KEDA_API_VERSION,
    }.items()
} | {
    Kind.NETWORK_POLICY: Resource("networking.k8s.io/v1", Kind.NETWORK_POLICY.value, "networkpolicies"),
    Kind.BACKEND_TLS_POLICY: Resource(_GATEWAY_API, Kind.BACKEND_TLS_POLICY.value, "backendtlspolicies"),
    Kind.INGRESS: Resource("networking.k8s.io/v1", Kind.INGRESS.value, "ingresses"),
}

MODEL_DEPLOYMENTS = Resource(API_VERSION, KIND, PLURAL)
PODS = Resource("v1", "Pod", "pods")
REPLICA_SETS = Resource("apps/v1", "ReplicaSet", "replicasets")
EVENTS = Resource("events.k8s.io/v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
NAMESPACES = Resource("v1", "Namespace", "namespaces")
NODES = Resource("v1", "Node", "nodes")
DEFINITIONS = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
