"""Who controls a Deployment's replica count: the operator, its autoscaler, or an autoscaler of others.

Server-side apply resets a field to its default (one pod) when its only owner stops setting it. So before an autoscaler
takes over, the live count is applied once under a second field manager, which then owns it too. An autoscaler of others
owns the count since it set it through `/scale`. If the operator reverted that, the two would create and delete pods
forever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import DeploymentState, OtherAutoscaler


class ReplicaDecision(NamedTuple):
    """`apply`: the count in the manifest, None to omit it; `transfer`: the count for the second manager, if any."""

    apply: int | None
    transfer: int | None = None


def decide_replicas(
    deployment: ModelDeployment, live: DeploymentState | None, others: Sequence[OtherAutoscaler] | None = ()
) -> ReplicaDecision:
    """What to apply, given the live Deployment and the autoscalers of others.

    The Deployment is None if it does not exist yet, the autoscalers are None if they could not be read.
    """
    spec = deployment.spec
    if spec.suspend:
        return ReplicaDecision(0)
    if spec.autoscaling is None:
        return ReplicaDecision(None if _is_left_to(others, spec.replicas, live) else spec.replicas)
    if live is None:
        return ReplicaDecision(None)
    if live.replicas == 0:
        # A HorizontalPodAutoscaler ignores a Deployment with 0 replicas, so scale it up first.
        minimum = spec.autoscaling.min_replicas
        return ReplicaDecision(None, transfer=minimum if minimum or live.owns_replicas else None)
    return ReplicaDecision(None, transfer=live.replicas if live.owns_replicas else None)


def desired_replicas(
    deployment: ModelDeployment, live: DeploymentState | None, others: Sequence[OtherAutoscaler] | None = ()
) -> int:
    """How many pods there should be now."""
    count = decide_replicas(deployment, live, others).apply
    if count is not None:
        return count
    minimum = deployment.spec.autoscaling.min_replicas if deployment.spec.autoscaling else deployment.spec.replicas
    return live.replicas if live else minimum


def is_scaled_by_others(deployment: ModelDeployment, live: DeploymentState | None) -> bool:
    """Whether somebody has set the count through `/scale` and the operator has not set it since.

    Only then may an autoscaler of others exist that the operator must not work against.
    """
    return bool(
        live
        and live.scaled_by
        and not live.owns_replicas
        and not (deployment.spec.autoscaling or deployment.spec.suspend)
    )


def _is_left_to(others: Sequence[OtherAutoscaler] | None, requested: int, live: DeploymentState | None) -> bool:
    """Whether an autoscaler of others controls the count; at 0 replicas, a HorizontalPodAutoscaler is inactive.

    As long as it is unknown whether there is one, the count stays: a wrong one may stop most of the pods.
    """
    if live is None or live.owns_replicas or requested == 0:
        return False
    if others is None:
        return True
    if not others:
        return False
    return live.replicas > 0 or any(other.may_stop for other in others)
