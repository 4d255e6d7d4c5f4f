"""The ScaledObject of KEDA, created only if `spec.autoscaling.provider` is KEDA.

It targets the Deployment, as the HorizontalPodAutoscaler of the provider HPA does. KEDA creates a
HorizontalPodAutoscaler for it, and copies the labels.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.autoscaling import Autoscaling, Keda
from triton_operator.api.keda import KEDA_API_VERSION, LABEL_SCALED_OBJECT, SCALED_OBJECT
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.autoscaler import behavior
from triton_operator.resources.keda_triggers import build_triggers
from triton_operator.resources.metadata import Manifest, child_metadata

POLLING_SECONDS = 15
"""Time between two reads of the triggers while there is no replica; afterwards, Kubernetes reads every 15 seconds."""
COOLDOWN_SECONDS = 300
"""Time without an active trigger after which the last replica is stopped."""


def build_scaled_object(deployment: ModelDeployment, autoscaling: Autoscaling) -> Manifest:
    """The ScaledObject with every trigger."""
    name = deployment.metadata.name
    metadata = child_metadata(deployment, name)
    metadata["labels"] = {**metadata["labels"], LABEL_SCALED_OBJECT: name}
    keda = autoscaling.keda or Keda()
    cooldown = COOLDOWN_SECONDS if keda.cooldown_seconds is None else keda.cooldown_seconds
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        "pollingInterval": keda.polling_interval_seconds or POLLING_SECONDS,
        "cooldownPeriod": cooldown,
        # Otherwise, KEDA stops the first replica before it has loaded the models.
        "initialCooldownPeriod": cooldown,
        "triggers": build_triggers(deployment, autoscaling),
    }
    if rules := behavior(autoscaling):
        # KEDA writes the second member, even if it is empty, so the operator owns it too.
        spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": rules}, "scalingModifiers": {}}
    return {"apiVersion": KEDA_API_VERSION, "kind": SCALED_OBJECT, "metadata": metadata, "spec": spec}
