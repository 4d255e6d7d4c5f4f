"""Gather the evidence for `tritonctl doctor` from the API server, with several concurrent requests.

Input: a client and a namespace. Output: `Evidence`. A failed request is represented by its SdkError, because missing
permission to read an object does not mean that something is wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from triton_operator.api.names import GROUP, LABEL_DEPLOYMENT, MANAGER, NETWORK_PROBE, PLURAL
from triton_operator.cli.concurrency import call_all
from triton_operator.cli.doctor.permissions import PERMISSIONS
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import (
    CHILDREN,
    DEFINITIONS,
    LEASES,
    MODEL_DEPLOYMENTS,
    NODES,
    PODS,
    Resource,
)
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.kubernetes_client import KubernetesClient

Object: TypeAlias = dict[str, Any]
Response: TypeAlias = Object | SdkError

_AT_A_TIME = 4
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_DAEMON_SETS = Resource("apps/v1", "DaemonSet", "daemonsets")
_RBAC = "rbac.authorization.k8s.io/v1"
_ROLES = Resource(_RBAC, "Role", "roles")
_ROLE_BINDINGS = Resource(_RBAC, "RoleBinding", "rolebindings")
_CLUSTER_ROLES = Resource(_RBAC, "ClusterRole", "clusterroles")
_CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "ClusterRoleBinding", "clusterrolebindings")
_OPERATOR = "app.kubernetes.io/part-of=triton-operator,app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Evidence:
    """The responses, by the name of the query; `namespace` is the selected one."""

    namespace: str
    responses: Mapping[str, Response]

    def __getitem__(self, query: str) -> Response:
        """The response, or the error of the request."""
        return self.responses[query]


def gather(client: KubernetesClient, namespace: str) -> Evidence:
    """Send all requests; if the cluster does not respond to the first, the others are not sent."""
    version = _attempt(lambda: client.get_path("/version"))
    if isinstance(version, SdkError):
        return Evidence(namespace, {"version": version})
    chosen = namespace or client.namespace
    queries = _queries(client, chosen)
    found = call_all([partial(_attempt, send) for send in queries.values()], at_a_time=_AT_A_TIME)
    responses = dict(zip(queries, found, strict=True))
    path = shutil.which("kubectl")
    return Evidence(chosen, {"version": version, "kubectl": {"path": path} if path else {}, **responses})


def _queries(client: KubernetesClient, namespace: str) -> dict[str, Callable[[], Response]]:
    """The queries by name."""

    def listed(
        resource: Resource, where: str | None = None, *, name: str = "", labels: str = ""
    ) -> Callable[[], Response]:
        return lambda: {"items": client.list(Selection(resource, where, name, labels)).items}

    return {
        "definition": lambda: client.get(DEFINITIONS, f"{PLURAL}.{GROUP}", None),
        "api": lambda: client.get_path(f"/apis/{GROUP}"),
        "operator": listed(CHILDREN[Kind.DEPLOYMENT], labels=_OPERATOR),
        "lease": listed(LEASES, name=MANAGER),
        "permissions": lambda: {"items": _review(client, namespace)},
        "deployments": listed(MODEL_DEPLOYMENTS, namespace),
        "pods": listed(PODS, namespace, labels=LABEL_DEPLOYMENT),
        "metrics": lambda: client.get_path("/apis/metrics.k8s.io/v1beta1"),
        "nodes": listed(NODES),
        "agents": listed(_DAEMON_SETS),
        "probe": listed(CHILDREN[Kind.CONFIG_MAP], name=NETWORK_PROBE),
        "roles": listed(_ROLES, namespace),
        "rolebindings": listed(_ROLE_BINDINGS, namespace),
        "clusterroles": listed(_CLUSTER_ROLES),
        "clusterrolebindings": listed(_CLUSTER_ROLE_BINDINGS),
    }


def _review(client: KubernetesClient, namespace: str) -> list[Object]:
    """Let the API server check each permission, because only it knows all of its authorizers."""
    reviews: list[Object] = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": permission.attributes(namespace)},
        }
        for permission in PERMISSIONS
    ]
    responses = [client.create(_REVIEWS, review) for review in reviews]
    return [
        {**review, "status": response.get("status", {})} for review, response in zip(reviews, responses, strict=True)
    ]


def _attempt(send: Callable[[], Response]) -> Response:
    try:
        return send()
    except SdkError as error:
        return error
