"""What the presets of `spec.autoscaling.metrics` measure, and their default targets. Pure.

`autoscaler` and `keda_triggers` build their metrics from it, `applied_defaults` shows the targets.
"""

from __future__ import annotations

from fractions import Fraction

from triton_operator.api.autoscaling import Metric, MetricType
from triton_operator.api.quantity import parse_exact

RESOURCES = {MetricType.CPU_UTILIZATION: "cpu", MetricType.MEMORY_UTILIZATION: "memory"}
"""The resource of the container `triton` that a preset measures."""

DEFAULT_METRICS = (Metric(type=MetricType.CPU_UTILIZATION),)

PENDING_REQUESTS = "nv_inference_pending_request_count"
GPU_UTILIZATION = "nv_gpu_utilization"

ADAPTER_METRICS = {
    MetricType.PENDING_REQUESTS: PENDING_REQUESTS,
    MetricType.QUEUE_TIME_RATIO: "triton_queue_time_ratio",
    MetricType.REQUESTS_PER_SECOND: "triton_requests_per_second",
    MetricType.GPU_UTILIZATION: GPU_UTILIZATION,
}
"""Names of the metrics that an adapter for custom.metrics.k8s.io has to serve for each pod; see the guide."""

_PERCENT = {MetricType.QUEUE_TIME_RATIO: 20}
_PERCENT_OF_OTHERS = 80
_PENDING = 10


def default_target(metric: MetricType) -> int | None:
    """The target of a preset that has none; None if it depends on the model, so that the user has to set it."""
    if metric.is_percentage:
        return _PERCENT.get(metric, _PERCENT_OF_OTHERS)
    return _PENDING if metric is MetricType.PENDING_REQUESTS else None


def percentage(metric: Metric) -> int:
    """The target of a preset in percent."""
    return metric.average_utilization or default_target(metric.type) or _PERCENT_OF_OTHERS


def target(metric: Metric) -> Fraction:
    """The target of a preset as a number: a percentage as a fraction of one, or the value per replica."""
    if metric.type.is_percentage:
        return Fraction(percentage(metric), 100)
    given = default_target(metric.type) if metric.average_value is None else metric.average_value
    return parse_exact(str(given)) or Fraction(_PENDING)
