"""The PodDisruptionBudget, created if there can be several pods, so that a drain evicts one at a time.

`unhealthyPodEvictionPolicy: AlwaysAllow` (stable since Kubernetes 1.31) lets a drain evict pods that do not serve.
"""

from __future__ import annotations

from triton_operator.api.names import serving_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata


def build_disruption_budget(deployment: ModelDeployment, *, with_canary: bool = False) -> Manifest:
    """The deployment's budget."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": serving_labels(deployment.metadata.name, with_canary=with_canary)},
        },
    }
