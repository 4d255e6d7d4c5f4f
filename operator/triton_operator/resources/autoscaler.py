"""The HorizontalPodAutoscaler, created only if `spec.autoscaling` is set.

It targets the Deployment, not the ModelDeployment. The presets are metrics of the container `triton` alone: the usage
of the pod also contains that of the sidecar `proxy`, and the utilization of a pod is unknown if any of its containers,
such as an injected one, has no request.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.autoscaling import Autoscaling, Metric, MetricType
from triton_operator.api.names import CONTAINER_TRITON
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata

DEFAULT_UTILIZATION = 80
"""Target of a preset in percent of the request."""
DEFAULT_METRICS = (Metric(type=MetricType.CPU_UTILIZATION),)

_RESOURCES = {MetricType.CPU_UTILIZATION: "cpu", MetricType.MEMORY_UTILIZATION: "memory"}


def build_autoscaler(deployment: ModelDeployment, autoscaling: Autoscaling) -> Manifest:
    """The deployment's autoscaler; the default metric is 80% of the requested CPU."""
    name = deployment.metadata.name
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [_metric(metric) for metric in autoscaling.metrics or DEFAULT_METRICS],
    }
    # Kubernetes fills an empty member with its defaults, which the operator would then own.
    behavior = {direction: rules for direction, rules in (autoscaling.behavior or {}).items() if rules}
    if behavior:
        spec["behavior"] = behavior
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": child_metadata(deployment, name),
        "spec": spec,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    """The metric of a preset; any other one unchanged."""
    if not metric.type.is_preset:
        return dict(msgspec.to_builtins(metric))
    target = {"type": "Utilization", "averageUtilization": metric.average_utilization or DEFAULT_UTILIZATION}
    source = {"name": _RESOURCES[metric.type], "container": CONTAINER_TRITON, "target": target}
    return {"type": "ContainerResource", "containerResource": source}
