"""Requests with a token of the operator's ServiceAccount, under the permissions of the chart, that must be forbidden.

The positive control of each request is the administrator, to whom none of them is forbidden.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.apiserver.api_client import Api
from tests.apiserver.conftest import Kubectl
from tests.apiserver.test_chart import account, await_right, install
from tests.apiserver.test_confinement import kubeconfig_of
from triton_operator.api.names import AUTHORITY_SECRET, SERVING_SECRET
from triton_operator.cluster.resource_paths import CHILDREN, EVENTS, LEASES, MODEL_DEPLOYMENTS, PODS

Object = dict[str, Any]
DRY = "dryRun=All"


class Attempt(NamedTuple):
    """One request; `path` has a query."""

    verb: str
    path: str
    body: Object | None = None


def own(namespace: str) -> list[Attempt]:
    """In the namespace of the operator: Secrets of users, programs in pods, and other permissions."""
    core, rbac = f"/api/v1/namespaces/{namespace}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    users = f"{core}/secrets/users"
    return [
        *(Attempt(verb, f"{users}?{DRY}") for verb in ("GET", "DELETE")),
        *(Attempt(verb, f"{users}?{DRY}", {"data": {}}) for verb in ("PATCH", "PUT")),
        Attempt("GET", f"{core}/secrets?"),
        Attempt("GET", f"{core}/secrets?watch=true&timeoutSeconds=1"),
        Attempt("GET", "/api/v1/secrets?"),
        *(Attempt("DELETE", f"{core}/secrets/{name}?{DRY}") for name in (SERVING_SECRET, AUTHORITY_SECRET)),
        Attempt("DELETE", f"{core}/secrets?{DRY}"),
        *(Attempt("POST", f"{core}/pods/serving/{name}?command=true&ports=8000") for name in CONNECTIONS),
        *(Attempt("GET", f"{core}/pods/serving/{name}?command=true&ports=8000") for name in CONNECTIONS),
        Attempt("GET", f"{core}/pods/serving/proxy/?"),
        Attempt("GET", f"{core}/services/serving/proxy/?"),
        Attempt("GET", f"{core}/pods/serving/log?"),
        Attempt("PATCH", f"{core}/pods/serving/ephemeralcontainers?{DRY}", {}),
        Attempt("POST", f"{core}/pods?{DRY}", {}),
        Attempt("DELETE", f"{core}/pods/serving?{DRY}"),
        Attempt("POST", f"{core}/serviceaccounts/default/token?", {}),
        Attempt("POST", f"{rbac}/rolebindings?{DRY}", {}),
        Attempt("POST", f"{rbac}/roles?{DRY}", {}),
        Attempt("GET", "/api/v1/nodes?"),
        Attempt("POST", f"/api/v1/namespaces?{DRY}", {}),
    ]


CONNECTIONS = ("exec", "attach", "portforward")
"""Subresources that open a connection to a pod."""


def elsewhere(namespace: str) -> list[Attempt]:
    """What an operator for one namespace must not do in another one, or in all: everything that it does in its own."""
    resources = [*CHILDREN.values(), MODEL_DEPLOYMENTS, PODS, EVENTS]
    lists = [Attempt("GET", f"{resource.path(place)}?") for resource in resources for place in (namespace, None)]
    created = [
        Attempt("POST", f"{resource.path(namespace)}?{DRY}", {}) for resource in (*CHILDREN.values(), EVENTS, LEASES)
    ]
    objects = [
        Attempt(verb, f"{resource.path(namespace, 'digits')}?{DRY}", body)
        for resource in CHILDREN.values()
        for verb, body in (("GET", None), ("PATCH", {}), ("DELETE", None))
    ]
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    return [
        *lists,
        *created,
        *objects,
        *(Attempt("GET", f"{secrets}/{name}?") for name in (SERVING_SECRET, AUTHORITY_SECRET)),
        Attempt("POST", f"{secrets}?{DRY}", {}),
        Attempt("PATCH", f"{MODEL_DEPLOYMENTS.path(namespace, 'digits', 'status')}?{DRY}", {}),
    ]


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_the_operator_can_neither_read_secrets_of_users_nor_enter_pods(
    api: Api, kubectl: Kubectl, namespace: str, tmp_path: Path, scenario: str
) -> None:
    operator = operator_of(api, kubectl, namespace, tmp_path, scenario)
    kubectl("create", "secret", "generic", "users", "--from-literal=a=b", "--namespace", namespace)
    kubectl("run", "serving", "--image=example.org/serving:1", "--expose", "--port=8000", "--namespace", namespace)
    assert codes(operator, own(namespace)) == {HTTPStatus.FORBIDDEN}
    assert HTTPStatus.FORBIDDEN not in codes(api, own(namespace))


def test_an_operator_of_one_namespace_can_do_nothing_in_another(
    api: Api, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    """It can do the same in its own namespace, where only the lists of all namespaces are forbidden."""
    operator = operator_of(api, kubectl, namespace, tmp_path, "namespace")
    assert codes(operator, elsewhere("default")) == {HTTPStatus.FORBIDDEN}
    assert HTTPStatus.FORBIDDEN not in codes(api, elsewhere("default"))
    in_namespace = [each for each in elsewhere(namespace) if f"/namespaces/{namespace}/" in each.path]
    assert [each for each in in_namespace if codes(operator, [each]) == {HTTPStatus.FORBIDDEN}] == []


def operator_of(api: Api, kubectl: Kubectl, namespace: str, folder: Path, scenario: str) -> Api:
    """Requests with a token of the ServiceAccount, once its permissions are in effect."""
    user = account(install(kubectl, scenario, namespace), namespace)
    await_right(api, user, ("get", "coordination.k8s.io", "leases", "triton-operator"), namespace)
    await_right(api, user, ("create", "", "configmaps", ""), namespace)
    return Api(kubeconfig_of(api, api.kubeconfig, namespace, user, folder))


def codes(api: Api, attempts: list[Attempt]) -> set[int]:
    """The statuses of all responses; a set, because the messages differ."""
    return {api.code(*each) for each in attempts}
