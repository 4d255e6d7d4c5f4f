"""Parts of a HorizontalPodAutoscaler that a ModelDeployment passes through, as types of autoscaling/v2.

The CLI checks values against them, because no API server checks them offline, and `check_autoscaling` compares their
members. Fields are those of Kubernetes 1.37.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from triton_operator.api.autoscaling import MetricType
from triton_operator.api.keda import Trigger
from triton_operator.api.passthrough import LabelSelector
from triton_operator.api.struct import Struct

Quantity: TypeAlias = int | str
TargetType: TypeAlias = Literal["Utilization", "Value", "AverageValue"]
_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
_AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class MetricTarget(Struct, frozen=True):
    """The target of a metric: a percentage of the request, a value, or an average over the replicas."""

    type: TargetType
    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: _AtLeastOne | None = None


class MetricIdentifier(Struct, frozen=True):
    """A metric of a metrics adapter, and the labels of its series."""

    name: _Name
    selector: LabelSelector | None = None


class CrossVersionObjectReference(Struct, frozen=True):
    """An object of the same namespace."""

    kind: _Name
    name: _Name
    api_version: str | None = None


class ResourceMetricSource(Struct, frozen=True):
    """CPU or memory of all containers of the pods."""

    name: Literal["cpu", "memory"]
    target: MetricTarget


class ContainerResourceMetricSource(Struct, frozen=True):
    """CPU or memory of one container of the pods."""

    name: Literal["cpu", "memory"]
    container: _Name
    target: MetricTarget


class PodsMetricSource(Struct, frozen=True):
    """A metric of each pod."""

    metric: MetricIdentifier
    target: MetricTarget


class ObjectMetricSource(Struct, frozen=True):
    """A metric of another object."""

    described_object: CrossVersionObjectReference
    metric: MetricIdentifier
    target: MetricTarget


class ExternalMetricSource(Struct, frozen=True):
    """A metric of a system outside the cluster."""

    metric: MetricIdentifier
    target: MetricTarget


class MetricSpec(Struct, frozen=True):
    """An item of `spec.autoscaling.metrics`, with the member of its type."""

    type: MetricType
    average_utilization: _AtLeastOne | None = None
    average_value: Quantity | None = None
    resource: ResourceMetricSource | None = None
    container_resource: ContainerResourceMetricSource | None = None
    pods: PodsMetricSource | None = None
    object: ObjectMetricSource | None = None
    external: ExternalMetricSource | None = None
    trigger: Trigger | None = None


class HPAScalingPolicy(Struct, frozen=True):
    """A largest change within a period."""

    type: Literal["Pods", "Percent"]
    value: _AtLeastOne
    period_seconds: Annotated[int, msgspec.Meta(ge=1, le=1800)]


class HPAScalingRules(Struct, frozen=True):
    """How fast the number of replicas changes in one direction."""

    stabilization_window_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] | None = None
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    policies: Annotated[tuple[HPAScalingPolicy, ...], msgspec.Meta(min_length=1)] | None = None
    tolerance: Quantity | None = None


class HorizontalPodAutoscalerBehavior(Struct, frozen=True):
    """`spec.autoscaling.behavior`."""

    scale_up: HPAScalingRules | None = None
    scale_down: HPAScalingRules | None = None


HPA_TYPES: dict[tuple[str, ...], object] = {
    ("autoscaling", "metrics"): tuple[MetricSpec, ...],
    ("autoscaling", "behavior"): HorizontalPodAutoscalerBehavior,
}
"""The type of each such field, by its path in `spec`."""
