"""Find autoscalers that scale the child Deployment although the operator did not create them.

The operator does not watch them. It reads the namespace's autoscalers only if the managedFields of the Deployment show
that somebody has set the number of replicas through `/scale`, and every 30 seconds as long as there is one.
"""

from __future__ import annotations

import logging

from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.memory import Memory
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.replicas import is_scaled_by_others

log = logging.getLogger(__name__)


async def find_other_autoscalers(cluster: Cluster, observed: ObservedState, memory: Memory) -> None:
    """Remember them; if they cannot be read, those of the last pass still count, and without any, it is unknown."""
    if not is_scaled_by_others(observed.deployment, observed.deployment_state):
        memory.other_autoscalers = ()
        return
    metadata = observed.deployment.metadata
    try:
        found = await cluster.other_autoscalers(metadata.namespace, metadata.name, metadata.uid)
    except ClusterError as error:
        log.warning("cannot read the HorizontalPodAutoscalers of namespace %s: %s", metadata.namespace, error)
        memory.other_autoscalers = memory.other_autoscalers or None
        return
    memory.other_autoscalers = tuple(sorted(found, key=lambda other: other.name))
