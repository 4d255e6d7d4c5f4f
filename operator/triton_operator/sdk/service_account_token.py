"""Tokens of a ServiceAccount from the TokenRequest API, as `kubectl create token` requests them.

Input: a ServiceAccount and an audience. Output: a token with its life, for `tokens.GrantedToken`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN
from triton_operator.sdk.errors import DeploymentNotFoundError, RejectedError, UnreachableError
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.tokens import Grant, GrantedToken, checked_token

LIFE_SECONDS = 3600
"""The requested life; an API server may grant another."""


def service_account_token(client: KubernetesClient, account: str, namespace: str, audience: str) -> GrantedToken:
    """Return the token source of `NAME` in `namespace`, or of `NAMESPACE/NAME`."""
    own, separator, name = account.rpartition("/")
    place = own if separator else namespace
    return GrantedToken(lambda: _request(client, place, name, audience))


def _request(client: KubernetesClient, namespace: str, name: str, audience: str) -> Grant:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": LIFE_SECONDS},
    }
    issued = datetime.now(UTC)
    try:
        answer = client.create(client.path(CHILDREN[Kind.SERVICE_ACCOUNT], namespace, name, "token"), body)
    except RejectedError as error:
        raise RejectedError(
            f"no token for ServiceAccount {name}: {error} (it requires the verb create for the resource "
            f"serviceaccounts/token in namespace {namespace})"
        ) from error
    except DeploymentNotFoundError as error:
        raise DeploymentNotFoundError(f"namespace {namespace} has no ServiceAccount {name}") from error
    return _grant(answer.get("status"), issued, name)


def _grant(status: Any, issued: datetime, name: str) -> Grant:
    try:
        expires = datetime.fromisoformat(status["expirationTimestamp"])
        return Grant(checked_token(status["token"], "token"), issued, expires.astimezone(UTC))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UnreachableError(f"the API server's answer has no token for ServiceAccount {name}") from error
