"""The HorizontalPodAutoscaler, created only if `spec.autoscaling` is set.

It targets the Deployment, not the ModelDeployment.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.spec import Autoscaling, Metric, MetricType, ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata

DEFAULT_METRIC = Metric(type=MetricType.CPU, average_utilization=80)


def build_autoscaler(deployment: ModelDeployment, autoscaling: Autoscaling) -> Manifest:
    """The deployment's autoscaler; the default metric is 80% of the requested CPU."""
    name = deployment.metadata.name
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": child_metadata(deployment, name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [_metric(metric) for metric in autoscaling.metrics or (DEFAULT_METRIC,)],
        },
    }


def _metric(metric: Metric) -> dict[str, Any]:
    target = metric.average_utilization or DEFAULT_METRIC.average_utilization
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}},
    }
