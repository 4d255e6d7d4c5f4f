"""`spec.autoscaling`: the bounds, metrics and behavior of the autoscaler.

A metric is a preset, a metric of a HorizontalPodAutoscaler, or a trigger of KEDA. The last two are passed through.
`api/hpa.py` and `api/keda.py` have the types of what is passed through.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from triton_operator.api.struct import Struct


class Provider(StrEnum):
    """Who scales: Kubernetes alone, or KEDA, which creates a HorizontalPodAutoscaler of its own."""

    HPA = "HPA"
    KEDA = "KEDA"


class MetricType(StrEnum):
    """The presets, the types of metrics of a HorizontalPodAutoscaler (autoscaling/v2), and a trigger of KEDA."""

    CPU_UTILIZATION = "CPUUtilization"
    MEMORY_UTILIZATION = "MemoryUtilization"
    PENDING_REQUESTS = "PendingRequests"
    QUEUE_TIME_RATIO = "QueueTimeRatio"
    REQUESTS_PER_SECOND = "RequestsPerSecond"
    GPU_UTILIZATION = "GPUUtilization"
    RESOURCE = "Resource"
    CONTAINER_RESOURCE = "ContainerResource"
    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"
    TRIGGER = "Trigger"

    @property
    def is_preset(self) -> bool:
        """Whether the operator defines the metric, and the user only its target."""
        return self.is_percentage or self.is_average

    @property
    def is_percentage(self) -> bool:
        """Whether the target of the preset is a percentage, `averageUtilization`."""
        return self in _PERCENTAGES

    @property
    def is_average(self) -> bool:
        """Whether the target of the preset is a number per replica, `averageValue`."""
        return self in _AVERAGES

    @property
    def is_of_triton(self) -> bool:
        """Whether the preset is computed from metrics that Triton serves."""
        return self.is_preset and self not in _OF_CONTAINER


_OF_CONTAINER = frozenset({MetricType.CPU_UTILIZATION, MetricType.MEMORY_UTILIZATION})
_PERCENTAGES = _OF_CONTAINER | {MetricType.QUEUE_TIME_RATIO, MetricType.GPU_UTILIZATION}
_AVERAGES = frozenset({MetricType.PENDING_REQUESTS, MetricType.REQUESTS_PER_SECOND})


class Metric(Struct, frozen=True):
    """One metric of the autoscaler: the target of a preset, or the member of another type.

    `average_utilization` is a percentage, `average_value` a number per replica.
    """

    type: MetricType
    average_utilization: int | None = None
    average_value: int | str | None = None
    resource: dict[str, Any] | None = None
    container_resource: dict[str, Any] | None = None
    pods: dict[str, Any] | None = None
    object: dict[str, Any] | None = None
    external: dict[str, Any] | None = None
    trigger: dict[str, Any] | None = None


class Keda(Struct, frozen=True):
    """What only KEDA has: how often it reads, when it stops the last replica, and the server of Prometheus."""

    polling_interval_seconds: int | None = None
    cooldown_seconds: int | None = None
    prometheus_server: str | None = None


class Autoscaling(Struct, frozen=True):
    """Bounds, metrics and behavior of the autoscaler that the provider creates."""

    max_replicas: int
    min_replicas: int = 1
    provider: Provider = Provider.HPA
    keda: Keda | None = None
    metrics: tuple[Metric, ...] = ()
    behavior: dict[str, Any] | None = None

    @property
    def uses_keda(self) -> bool:
        """Whether a ScaledObject of KEDA scales the deployment."""
        return self.provider is Provider.KEDA

    @property
    def prometheus_server(self) -> str:
        """The server that KEDA queries for presets; "" if KEDA reads them from the serving pods."""
        return (self.keda.prometheus_server if self.keda else None) or ""

    @property
    def triggers(self) -> tuple[Metric, ...]:
        """The triggers of KEDA that are passed through."""
        return tuple(metric for metric in self.metrics if metric.type is MetricType.TRIGGER)
