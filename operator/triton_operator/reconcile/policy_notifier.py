"""Make the kubelet mount a changed policy of the proxy immediately.

Input: a plan that was carried out. Output: an annotation on each pod with the policy. The kubelet updates mounted
ConfigMaps whenever a pod changes, otherwise about once a minute, which is too late for a caller whose access was
revoked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from triton_operator.api.names import ANNOTATION_POLICY, proxy_config_name
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.observed import Kind, Pod
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.failed_writes import FailedWrite
from triton_operator.reconcile.plan import Plan, digest
from triton_operator.reconcile.pods import is_over, is_proxy

log = logging.getLogger(__name__)

LIMIT = 10.0
"""Seconds for all pods of a deployment, so that the status is written in time."""


class PolicyNotifier:
    """Annotates pods through `cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def notify(self, plan: Plan, failures: Sequence[FailedWrite], pods: Sequence[Pod]) -> None:
        """Annotate the pods whose policy the plan has written; if that fails, they follow within about a minute."""
        failed = {failure.name for failure in failures if failure.kind is Kind.CONFIG_MAP}
        written = [action for action in plan.writes if action.kind is Kind.CONFIG_MAP and action.name not in failed]
        if not written:
            return
        policies = {action.name: digest(action.manifest) for action in written}
        try:
            async with asyncio.timeout(LIMIT):
                for pod in filter(_has_proxy, pods):
                    if policy := policies.get(proxy_config_name(pod.deployment)):
                        annotations = {ANNOTATION_POLICY: policy}
                        await self._cluster.annotate_pod(pod.namespace, pod.name, pod.uid, annotations)
        except (ClusterError, TimeoutError) as error:
            log.warning("cannot announce the proxy's new policy to a pod: %s", str(error) or "timed out")


def _has_proxy(pod: Pod) -> bool:
    return not (pod.deleting or is_over(pod)) and any(map(is_proxy, pod.containers))
