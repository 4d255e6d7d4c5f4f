"""Read what the proxy's policy depends on besides the spec: the cluster's public keys, and objects of users.

Input: a deployment. Output: ProxyInputs for `resources.proxy_policy`. No watch reports changes of users' ConfigMaps and
ServiceAccounts, so every pass reads them, and `next_pass` schedules one from time to time.
"""

from __future__ import annotations

import asyncio
import contextlib

from triton_operator.api.conditions import Reason
from triton_operator.api.references import ConfigMapKey
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.errors import ClusterError, DeniedError, UnavailableError
from triton_operator.cluster.issuer import IssuerCache
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.resources.proxy_inputs import (
    ABSENT,
    NO_INPUTS,
    ProxyInputs,
    needs_cluster_keys,
    references,
    service_accounts,
)
from triton_operator.triton.proxy_contract.policy import Issuer

FIRST_READ = 5.0
"""Seconds for which the first deployment waits until the cluster's public keys are read."""


class IssuerUnknownError(UnavailableError):
    """The cluster's public keys have not been read yet."""


class PolicyInputs:
    """Reads ConfigMaps through `cluster`; `runtime` reads the cluster's public keys into `issuer`."""

    def __init__(self, cluster: Cluster, issuer: IssuerCache) -> None:
        self._cluster = cluster
        self._issuer = issuer
        self._has_waited = False

    async def read(self, deployment: ModelDeployment) -> ProxyInputs:
        """The current inputs; raises ClusterError."""
        issuer = await self._read_issuer() if needs_cluster_keys(deployment.spec) else None
        accounts = {account: await self._read_uid(*account) for account in sorted(service_accounts(deployment))}
        keys = {reference.key for reference in references(deployment.spec)}
        if not (accounts or keys):
            return NO_INPUTS
        namespace = deployment.metadata.namespace
        maps = {
            name: await self._cluster.read_config_map(namespace, name) for name in sorted({key.name for key in keys})
        }
        texts = {key: text for key in keys if (text := _text(maps, key)) is not None}
        return ProxyInputs(issuer, texts, accounts)

    async def _read_uid(self, namespace: str, name: str) -> str | None:
        """The uid of a ServiceAccount; None if an operator of one namespace lacks permission to read it."""
        try:
            return await self._cluster.read_account_uid(namespace, name) or ABSENT
        except DeniedError:
            return None

    async def _read_issuer(self) -> Issuer:
        """The cluster's issuer. Only one pass waits for it, so that it does not delay other deployments."""
        self._issuer.needed.set()
        if not self._has_waited:
            self._has_waited = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_READ):
                    await self._issuer.known.wait()
        if self._issuer.issuer is None:
            raise IssuerUnknownError(
                "the cluster's public keys, which verify the tokens of ServiceAccounts, could not be read; the "
                "operator retries automatically, and its log contains the cause"
            )
        return self._issuer.issuer


def describe_unread(error: ClusterError) -> Blocked:
    """Why nothing is written: without its inputs, the policy would refuse callers that it should admit."""
    reason = Reason.FORBIDDEN if isinstance(error, DeniedError) else Reason.API_SERVER_ERROR
    if isinstance(error, IssuerUnknownError):
        return Blocked(reason, error.message)
    message = f"the operator cannot read an object that spec.privacy names, and retries automatically: {error.message}"
    return Blocked(reason, message)


def _text(maps: dict[str, dict[str, str] | None], key: ConfigMapKey) -> str | None:
    return (maps[key.name] or {}).get(key.key)
