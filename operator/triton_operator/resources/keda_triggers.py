"""The metrics of a deployment as triggers of KEDA.

Pure. KEDA reads gauges of Triton from every ready pod of the headless Service, without Prometheus. It takes the first
series that has the given labels, and cannot compute a rate from a counter. What needs more comes from Prometheus, if
the spec names a server; `find_unreadable` explains what is not possible without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from triton_operator.api.autoscaling import Autoscaling, Metric, MetricType
from triton_operator.api.keda import METRICS_API
from triton_operator.api.model import Model
from triton_operator.api.names import CONTAINER_TRITON, PORT_METRICS, headless_service_name
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.scaling_presets import (
    DEFAULT_METRICS,
    GPU_UTILIZATION,
    PENDING_REQUESTS,
    RESOURCES,
    percentage,
    target,
)

_WINDOW = "2m"
"""A rate needs two samples, and Prometheus usually reads one every 30 or 60 seconds."""

_RATES = frozenset({MetricType.QUEUE_TIME_RATIO, MetricType.REQUESTS_PER_SECOND})
_AVERAGE, _VALUE = "AverageValue", "Value"

Trigger = dict[str, Any]


def build_triggers(deployment: ModelDeployment, autoscaling: Autoscaling) -> list[Trigger]:
    """All triggers in the order of the metrics; a preset that KEDA reads from the pods has one for each model."""
    return [trigger for _, trigger in _triggers(deployment, autoscaling)]


def describe_triggers(deployment: ModelDeployment, autoscaling: Autoscaling) -> list[str]:
    """For each trigger, what it measures, for people: KEDA names its metrics by the index of the trigger."""
    return [what for what, _ in _triggers(deployment, autoscaling)]


def reads_pods(autoscaling: Autoscaling) -> bool:
    """Whether KEDA itself connects to the metrics port of the serving pods."""
    return (
        autoscaling.uses_keda
        and not autoscaling.prometheus_server
        and any(metric.type.is_of_triton for metric in autoscaling.metrics)
    )


def find_unreadable(spec: Spec, metric: Metric) -> str:
    """Why KEDA cannot read a preset from the pods; "" if it can."""
    if metric.type in _RATES:
        return "KEDA cannot compute a rate from the counters that Triton serves"
    if metric.type is MetricType.GPU_UTILIZATION:
        gpu = spec.gpu
        is_readable = gpu is None or (gpu.count == 1 and not gpu.mig and not gpu.sharing)
        return "" if is_readable else "KEDA reads one whole GPU of each replica, and gpu requests something else"
    if metric.type is not MetricType.PENDING_REQUESTS:
        return ""
    if spec.gpu:
        # One of the model, and one of each GPU, which is always 0 (`metric_model_reporter.cc` of Triton's core).
        return "Triton serves several series for each model on a GPU, of which KEDA reads the first"
    several = [model.name for model in spec.models if not _versions(model)]
    if several:
        names = ", ".join(several)
        return f"the versions of {names} that are served are not known; set versionPolicy.specific"
    return ""


def _triggers(deployment: ModelDeployment, autoscaling: Autoscaling) -> Iterator[tuple[str, Trigger]]:
    for metric in autoscaling.metrics or DEFAULT_METRICS:
        if metric.trigger is not None:
            yield _passed_through(metric.trigger)
        elif metric.type in RESOURCES:
            yield str(metric.type), _resource(metric)
        elif autoscaling.prometheus_server:
            yield str(metric.type), _query(deployment, metric, autoscaling.prometheus_server)
        elif metric.type is MetricType.GPU_UTILIZATION:
            yield str(metric.type), _series(deployment, metric, GPU_UTILIZATION)
        elif metric.type is MetricType.PENDING_REQUESTS:
            yield from _pending(deployment, metric)


def _passed_through(given: dict[str, Any]) -> tuple[str, Trigger]:
    # KEDA writes the object back without this value, so the operator does not own it.
    trigger = {name: value for name, value in given.items() if value is not False}
    what = str(given.get("type", ""))
    return (f"{what} {given['name']}" if given.get("name") else what), trigger


def _resource(metric: Metric) -> Trigger:
    """Usage of the container that serves; a sidecar without a request would make that of the pod unknown."""
    metadata = {"value": str(percentage(metric)), "containerName": CONTAINER_TRITON}
    return {"type": RESOURCES[metric.type], "metricType": "Utilization", "metadata": metadata}


def _pending(deployment: ModelDeployment, metric: Metric) -> Iterator[tuple[str, Trigger]]:
    for model in deployment.spec.models:
        for version in _versions(model):
            labels = {"model": model.name} | ({"version": version} if version else {})
            selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
            what = f"{metric.type} of {model.name}{f' version {version}' if version else ''}"
            yield what, _series(deployment, metric, f"{PENDING_REQUESTS}{{{selector}}}")


def _versions(model: Model) -> Sequence[str]:
    """The versions with a series of their own; "" is the only one, whatever its number; empty if they are unknown."""
    policy = model.version_policy
    if policy is None or (policy.latest and policy.latest.count == 1):
        return ("",)
    return tuple(str(version) for version in policy.specific.versions) if policy.specific else ()


def _series(deployment: ModelDeployment, metric: Metric, series: str) -> Trigger:
    """A gauge of every ready pod: their sum, which KEDA divides by the number of replicas."""
    name, namespace = headless_service_name(deployment.metadata.name), deployment.metadata.namespace
    metadata = {
        "url": f"http://{name}.{namespace}.svc:{PORT_METRICS}/metrics",
        "format": "prometheus",
        "valueLocation": series,
        "targetValue": _number(target(metric)),
        "aggregateFromKubeServiceEndpoints": "true",
        "aggregationType": "sum",
    }
    return {"type": METRICS_API, "metricType": _AVERAGE, "metadata": metadata}


def _query(deployment: ModelDeployment, metric: Metric, server: str) -> Trigger:
    """A query of Prometheus over the pods; `namespace` and `pod` are the labels of Prometheus Operator's monitors."""
    name, namespace = deployment.metadata.name, deployment.metadata.namespace
    pods = f'{{namespace="{namespace}",pod=~"{name}-[a-z0-9]+-[a-z0-9]+"}}'
    query, kind = _expression(metric.type, pods)
    metadata = {"serverAddress": server, "query": query, "threshold": _number(target(metric))}
    return {"type": "prometheus", "metricType": kind, "metadata": metadata}


def _expression(metric: MetricType, pods: str) -> tuple[str, str]:
    """The query, and whether its value is divided by the number of replicas."""
    match metric:
        case MetricType.PENDING_REQUESTS:
            return f"max(sum by (model) ({PENDING_REQUESTS}{pods}))", _AVERAGE
        case MetricType.REQUESTS_PER_SECOND:
            return f"sum({_rate('nv_inference_request_success', pods)})", _AVERAGE
        case MetricType.QUEUE_TIME_RATIO:
            # Without requests, the divisor is 0; then there is no series, which counts as 0.
            queued = f"sum by (model) ({_rate('nv_inference_queue_duration_us', pods)})"
            total = f"sum by (model) ({_rate('nv_inference_request_duration_us', pods)})"
            return f"max({queued} / ({total} > 0))", _VALUE
        case _:
            return f"avg({GPU_UTILIZATION}{pods})", _VALUE


def _rate(counter: str, pods: str) -> str:
    return f"rate({counter}{pods}[{_WINDOW}])"


def _number(value: Fraction) -> str:
    """A decimal number, as KEDA parses it."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".")
