"""What the proxy's policy depends on besides the spec: the cluster's public keys and the users' ConfigMaps.

`reconcile` reads them, and passes them to `proxy_policy`. `references` lists the ConfigMaps that a spec names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from triton_operator.api.privacy import ServiceAccountCaller
from triton_operator.api.references import ConfigMapKey
from triton_operator.api.spec import Metadata, ModelDeployment, Spec
from triton_operator.triton.proxy_contract.policy import Issuer


class ProxyInputs(NamedTuple):
    """`cluster` is the issuer of the cluster's ServiceAccount tokens, None if it is not known.

    `texts` are the contents of the ConfigMaps that the spec names; a key that is missing from it does not exist. None
    means that ConfigMaps cannot be read, and the policy has no keys in their place. `accounts` are the uids of the
    callers' ServiceAccounts by namespace and name: None for one that cannot be read, ABSENT for one that does not
    exist.
    """

    cluster: Issuer | None = None
    texts: Mapping[ConfigMapKey, str] | None = {}
    accounts: Mapping[tuple[str, str], str | None] = {}


ABSENT = "absent"
"""Replaces the uid of a ServiceAccount that does not exist, so that no token is accepted for it."""
NO_INPUTS = ProxyInputs()
OFFLINE = ProxyInputs(cluster=Issuer("", ()), texts=None)
"""For rendering without a cluster: the policy shows callers without keys."""


class Reference(NamedTuple):
    """A key of a ConfigMap in the deployment's namespace, and the path of the field that names it."""

    path: str
    key: ConfigMapKey


def references(spec: Spec) -> Iterator[Reference]:
    """The ConfigMaps that the policy depends on."""
    privacy = spec.privacy
    for index, client in enumerate(privacy.clients or ()):
        if client.jwt and client.jwt.jwks_config_map_ref:
            path = f"spec.privacy.clients[{index}].jwt.jwksConfigMapRef"
            yield Reference(path, client.jwt.jwks_config_map_ref)
    if privacy.client_cas:
        yield Reference("spec.privacy.clientCas.configMapRef", privacy.client_cas.config_map_ref)


def service_accounts(deployment: ModelDeployment) -> set[tuple[str, str]]:
    """Namespace and name of each ServiceAccount that is a caller."""
    clients = deployment.spec.privacy.clients or ()
    return {account_of(client.service_account, deployment.metadata) for client in clients if client.service_account}


def account_of(caller: ServiceAccountCaller, deployment: Metadata) -> tuple[str, str]:
    """Namespace and name of the ServiceAccount; its namespace is by default that of the deployment."""
    return caller.namespace or deployment.namespace, caller.name


def needs_cluster_keys(spec: Spec) -> bool:
    """Whether a caller is a ServiceAccount, whose tokens the cluster's public keys verify."""
    return any(client.service_account for client in spec.privacy.clients or ())
