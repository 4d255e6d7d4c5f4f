"""`spec.autoscaling`: the bounds, metrics and behavior of the autoscaler.

A metric is a preset, or a metric of a HorizontalPodAutoscaler, which is passed through. `api/hpa.py` has the types of
what is passed through.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from triton_operator.api.struct import Struct


class MetricType(StrEnum):
    """The presets, and the types of metrics of a HorizontalPodAutoscaler (autoscaling/v2)."""

    CPU_UTILIZATION = "CPUUtilization"
    MEMORY_UTILIZATION = "MemoryUtilization"
    RESOURCE = "Resource"
    CONTAINER_RESOURCE = "ContainerResource"
    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"

    @property
    def is_preset(self) -> bool:
        """Whether the operator defines the metric, and the user only its target."""
        return self in {MetricType.CPU_UTILIZATION, MetricType.MEMORY_UTILIZATION}


class Metric(Struct, frozen=True):
    """One metric of the autoscaler: `average_utilization` of a preset in percent, or the member of another type."""

    type: MetricType
    average_utilization: int | None = None
    resource: dict[str, Any] | None = None
    container_resource: dict[str, Any] | None = None
    pods: dict[str, Any] | None = None
    object: dict[str, Any] | None = None
    external: dict[str, Any] | None = None


class Autoscaling(Struct, frozen=True):
    """Bounds, metrics and behavior of a HorizontalPodAutoscaler."""

    max_replicas: int
    min_replicas: int = 1
    metrics: tuple[Metric, ...] = ()
    behavior: dict[str, Any] | None = None
