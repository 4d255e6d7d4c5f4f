"""The HorizontalPodAutoscaler, created only if `spec.autoscaling` is set and its provider is HPA.

It targets the Deployment, not the ModelDeployment. The presets of CPU and memory are metrics of the container `triton`
alone: the usage of the pod also contains that of the sidecar `proxy`, and the utilization of a pod is unknown if any of
its containers, such as an injected one, has no request. The presets of Triton's metrics need an adapter, which serves
them for each pod.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.autoscaling import Autoscaling, Metric
from triton_operator.api.names import CONTAINER_TRITON
from triton_operator.api.quantity import format_cpus
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.scaling_presets import ADAPTER_METRICS, DEFAULT_METRICS, RESOURCES, percentage, target


def build_autoscaler(deployment: ModelDeployment, autoscaling: Autoscaling) -> Manifest:
    """The deployment's autoscaler; the default metric is 80% of the requested CPU."""
    name = deployment.metadata.name
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [_metric(metric) for metric in autoscaling.metrics or DEFAULT_METRICS],
    }
    if rules := behavior(autoscaling):
        spec["behavior"] = rules
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": child_metadata(deployment, name),
        "spec": spec,
    }


def behavior(autoscaling: Autoscaling) -> dict[str, Any]:
    """The behavior without empty members: Kubernetes would fill them with defaults, which the operator would own."""
    return {direction: rules for direction, rules in (autoscaling.behavior or {}).items() if rules}


def _metric(metric: Metric) -> dict[str, Any]:
    """The metric of a preset; any other one unchanged."""
    if not metric.type.is_preset:
        return dict(msgspec.to_builtins(metric))
    if metric.type.is_of_triton:
        # A quantity in thousandths, as for CPUs.
        average = {"type": "AverageValue", "averageValue": format_cpus(target(metric))}
        return {"type": "Pods", "pods": {"metric": {"name": ADAPTER_METRICS[metric.type]}, "target": average}}
    utilization = {"type": "Utilization", "averageUtilization": percentage(metric)}
    source = {"name": RESOURCES[metric.type], "container": CONTAINER_TRITON, "target": utilization}
    return {"type": "ContainerResource", "containerResource": source}
