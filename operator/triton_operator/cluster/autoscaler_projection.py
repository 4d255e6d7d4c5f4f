"""What a HorizontalPodAutoscaler sees and decides, and which of them scale a Deployment.

Pure. `projection` calls `project_autoscaler` for children, `http` calls `read_other` for all of a namespace, and
`tritonctl status` calls `read_metrics`.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from triton_operator.api.keda import SCALED_OBJECT
from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGER
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.observed import (
    AutoscalerState,
    Kind,
    ObservedCondition,
    ObservedMetric,
    OtherAutoscaler,
    ScaledObjectState,
)
from triton_operator.cluster.stored_objects import (
    Owner,
    Stored,
    StoredMetadata,
    StoredMetric,
    StoredMetricValue,
    StoredObjectName,
    StoredStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SCALING_ACTIVE = "ScalingActive"
_ABLE_TO_SCALE = "AbleToScale"
_STABLE_CONDITIONS = frozenset({"Ready", "Paused"})
"""Conditions of a ScaledObject; the others change with the load."""
_RESOURCES = {"cpu": "CPU"}
"""Names of resources for people, if they differ."""


class _AutoscalerSpec(Stored):
    metrics: tuple[StoredMetric, ...] = ()


class _StoredAutoscalerSpec(Stored):
    scale_target_ref: StoredObjectName = msgspec.field(default_factory=StoredObjectName)
    min_replicas: int = 1


class _StoredAutoscaler(Stored):
    metadata: StoredMetadata
    spec: _StoredAutoscalerSpec = msgspec.field(default_factory=_StoredAutoscalerSpec)


_decode_spec = msgspec.json.Decoder(_AutoscalerSpec).decode
_decode_other = msgspec.json.Decoder(_StoredAutoscaler).decode


def project_scaling(
    kind: Kind, spec: msgspec.Raw, status: StoredStatus, owners: Iterable[Owner]
) -> AutoscalerState | ScaledObjectState:
    """The state of a child that scales; raises msgspec.DecodeError."""
    return project_scaled_object(status) if kind is Kind.SCALED_OBJECT else project_autoscaler(spec, status, owners)


def project_autoscaler(spec: msgspec.Raw, status: StoredStatus, owners: Iterable[Owner] = ()) -> AutoscalerState:
    """The state of the autoscaler of a deployment; raises msgspec.DecodeError."""
    return AutoscalerState(
        conditions=tuple(_conditions(status)),
        current_replicas=status.current_replicas,
        desired_replicas=status.desired_replicas,
        metrics=read_metrics(_decode_spec(spec).metrics, status.current_metrics or ()),
        scaled_object_uid=next((owner.uid for owner in owners if owner.kind == SCALED_OBJECT and owner.controller), ""),
    )


def project_scaled_object(status: StoredStatus) -> ScaledObjectState:
    """The state of the ScaledObject of a deployment."""
    stable = (each for each in status.conditions if each.type in _STABLE_CONDITIONS)
    return ScaledObjectState(
        conditions=tuple(
            ObservedCondition(type=each.type, status=each.status, reason=each.reason, message=each.message)
            for each in stable
        )
    )


def read_metrics(specs: Sequence[StoredMetric], current: Sequence[StoredMetric]) -> tuple[ObservedMetric, ...]:
    """Each metric with its current value; the controller reports them in the order of the spec."""
    pairs = zip_longest(specs, current[: len(specs)], fillvalue=StoredMetric())
    return tuple(_metric(spec, status) for spec, status in pairs)


def read_other(body: msgspec.Raw, deployment: str, owner_uid: str) -> OtherAutoscaler | None:
    """The autoscaler if it scales this Deployment and does not belong to the ModelDeployment `owner_uid`."""
    stored = decode_any_depth(_decode_other, bytes(body))
    metadata, target = stored.metadata, stored.spec.scale_target_ref
    is_ours = metadata.deployment_uid == owner_uid
    if (target.kind, target.name) != ("Deployment", deployment) or is_ours or metadata.deletion_timestamp:
        return None
    if _is_of_our_scaled_object(metadata, deployment):
        return None
    keda = next((owner.name for owner in metadata.owner_references if owner.kind == SCALED_OBJECT), "")
    may_stop = bool(keda) or stored.spec.min_replicas == 0
    return OtherAutoscaler(name=metadata.name, scaled_object=keda, may_stop=may_stop)


def _is_of_our_scaled_object(metadata: StoredMetadata, deployment: str) -> bool:
    """Whether KEDA created the autoscaler for the operator's ScaledObject, whose labels it copies.

    It still exists for a moment after `spec.autoscaling` has been removed.
    """
    labels = metadata.labels
    ours = labels.get(LABEL_MANAGED_BY) == MANAGER and labels.get(LABEL_DEPLOYMENT) == deployment
    return ours and any((owner.kind, owner.name) == (SCALED_OBJECT, deployment) for owner in metadata.owner_references)


def _conditions(status: StoredStatus) -> Iterator[ObservedCondition]:
    """Without what fluctuates with the load: the message of True names the metric with the highest demand."""
    for each in status.conditions:
        if each.type == SCALING_ACTIVE and each.status == "True":
            yield ObservedCondition(type=each.type, status=each.status, reason=each.reason)
        elif each.type == SCALING_ACTIVE or (each.type == _ABLE_TO_SCALE and each.status != "True"):
            yield ObservedCondition(type=each.type, status=each.status, reason=each.reason, message=each.message)


def _metric(spec: StoredMetric, status: StoredMetric) -> ObservedMetric:
    name, target = _name(spec), spec.source.target if spec.source else StoredMetricValue()
    read = status.source if _name(status) == name else None
    current = _value(read.current, target.type) if read else ""
    return ObservedMetric(name=name, current=current, target=_value(target, target.type))


def _name(metric: StoredMetric) -> str:
    """The metric for people, unique among the metrics of one autoscaler except for selectors."""
    source = metric.source
    if source is None:
        return metric.type
    match metric.type:
        case "Resource":
            return _RESOURCES.get(source.name, source.name)
        case "ContainerResource":
            return f"{_RESOURCES.get(source.name, source.name)} of container {source.container}"
        case "Pods":
            return f"{source.metric.name} per replica"
        case "Object":
            return f"{source.metric.name} of {source.described_object.kind} {source.described_object.name}"
        case _:
            return source.metric.name


def _value(value: StoredMetricValue, kind: str) -> str:
    """The member of a target or of a current value that the type of the target compares."""
    if kind == "Utilization":
        return "" if value.average_utilization is None else f"{value.average_utilization}%"
    return (value.average_value if kind == "AverageValue" else value.value) or ""


def describe_metrics(metrics: Iterable[ObservedMetric]) -> str:
    """All metrics in one phrase."""
    return ", ".join(f"{each.name} {each.current or 'unknown'} (target {each.target})" for each in metrics)
