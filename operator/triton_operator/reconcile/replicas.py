"""Who controls a Deployment's replica count: the operator, or an autoscaler.

Server-side apply resets a field to its default (one pod) when its only owner stops setting it. So before an autoscaler
takes over, the live count is applied once under a second field manager, which then owns it too.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import DeploymentState


class ReplicaDecision(NamedTuple):
    """`apply`: the count in our manifest, None to omit it; `transfer`: the count for the second manager, if any."""

    apply: int | None
    transfer: int | None = None


def decide_replicas(deployment: ModelDeployment, live: DeploymentState | None) -> ReplicaDecision:
    """What to apply, given the live Deployment (None if it does not exist yet)."""
    spec = deployment.spec
    if spec.suspend:
        return ReplicaDecision(0)
    if spec.autoscaling is None:
        return ReplicaDecision(spec.replicas)
    if live is None:
        return ReplicaDecision(None)
    if live.replicas == 0:
        # A HorizontalPodAutoscaler ignores a Deployment with 0 replicas, so scale it up first.
        return ReplicaDecision(None, transfer=spec.autoscaling.min_replicas)
    return ReplicaDecision(None, transfer=live.replicas if live.owns_replicas else None)


def desired_replicas(deployment: ModelDeployment, live: DeploymentState | None) -> int:
    """How many pods there should be now."""
    if deployment.spec.suspend:
        return 0
    if deployment.spec.autoscaling is None:
        return deployment.spec.replicas
    return live.replicas if live else deployment.spec.autoscaling.min_replicas
