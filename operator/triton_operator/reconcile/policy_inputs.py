"""Read what the proxy's policy depends on besides the spec: the ConfigMaps that callers and authorities are in.

Input: a deployment. Output: ProxyInputs for `resources.proxy_policy`. No watch reports changes of users' ConfigMaps, so
every pass reads them, and `next_pass` schedules one from time to time.
"""

from __future__ import annotations

from triton_operator.api.conditions import Reason
from triton_operator.api.privacy import ConfigMapKey
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.errors import ClusterError, DeniedError
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.resources.proxy_inputs import NO_INPUTS, ProxyInputs, references


class PolicyInputs:
    """Reads through `cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, deployment: ModelDeployment) -> ProxyInputs:
        """The current inputs; raises ClusterError."""
        keys = {reference.key for reference in references(deployment.spec)}
        if not keys:
            return NO_INPUTS
        namespace = deployment.metadata.namespace
        maps = {
            name: await self._cluster.read_config_map(namespace, name) for name in sorted({key.name for key in keys})
        }
        return ProxyInputs(texts={key: text for key in keys if (text := _text(maps, key)) is not None})


def describe_unread(error: ClusterError) -> Blocked:
    """Why nothing is written: without its inputs, the policy would refuse callers that it should admit."""
    reason = Reason.FORBIDDEN if isinstance(error, DeniedError) else Reason.API_SERVER_ERROR
    message = (
        f"the operator cannot read a ConfigMap that spec.privacy names, and retries automatically: {error.message}"
    )
    return Blocked(reason, message)


def _text(maps: dict[str, dict[str, str] | None], key: ConfigMapKey) -> str | None:
    return (maps[key.name] or {}).get(key.key)
