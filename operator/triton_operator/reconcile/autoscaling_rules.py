"""Checks of `spec.autoscaling` that the CRD also has.

Pure. `validate` calls it. Unlike the other checks, it reports all mistakes at once, because a list of metrics often has
several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from triton_operator.api.autoscaling import Autoscaling, Metric, MetricType
from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.hpa import MetricSpec, MetricTarget
from triton_operator.api.quantity import parse_exact
from triton_operator.api.spec import Spec
from triton_operator.cluster.observed import Key
from triton_operator.reconcile.keda_rules import find_keda_problems

_SPEC = "spec.autoscaling"
_MEMBERS = {
    MetricType.RESOURCE: "resource",
    MetricType.CONTAINER_RESOURCE: "containerResource",
    MetricType.PODS: "pods",
    MetricType.OBJECT: "object",
    MetricType.EXTERNAL: "external",
    MetricType.TRIGGER: "trigger",
}
"""The member of each type that is not a preset; the others must be absent."""
_TARGETS = {
    MetricType.RESOURCE: ("Utilization", "AverageValue"),
    MetricType.CONTAINER_RESOURCE: ("Utilization", "AverageValue"),
    MetricType.PODS: ("AverageValue",),
    MetricType.OBJECT: ("Value", "AverageValue"),
    MetricType.EXTERNAL: ("Value", "AverageValue"),
}
"""The types of targets that the HorizontalPodAutoscaler controller evaluates."""
_VALUES = {"Utilization": "averageUtilization", "Value": "value", "AverageValue": "averageValue"}


def check_autoscaling(spec: Spec, key: Key) -> None:
    """Raise InvalidSpecError with everything that is wrong; `key` is that of the object."""
    problems = (
        [*_problems(spec.autoscaling), *_problems_of_gpu(spec), *find_keda_problems(spec, key)]
        if spec.autoscaling
        else []
    )
    if problems:
        raise InvalidSpecError.of(problems)


def _problems_of_gpu(spec: Spec) -> Iterator[Problem]:
    metrics = spec.autoscaling.metrics if spec.autoscaling and spec.gpu is None else ()
    for index, metric in enumerate(metrics):
        if metric.type is MetricType.GPU_UTILIZATION:
            yield Problem(f"{_SPEC}.metrics[{index}].type", "GPUUtilization requires spec.gpu")


def _problems(autoscaling: Autoscaling) -> Iterator[Problem]:
    if autoscaling.max_replicas < autoscaling.min_replicas:
        message = f"{autoscaling.max_replicas} is less than minReplicas {autoscaling.min_replicas}"
        yield Problem(f"{_SPEC}.maxReplicas", message)
    counts = Counter(metric.type for metric in autoscaling.metrics if metric.type.is_preset)
    for preset, count in counts.items():
        if count > 1:
            yield Problem(f"{_SPEC}.metrics", f"contains the type {preset} {count} times; once is allowed")
    for index, metric in enumerate(autoscaling.metrics):
        yield from _problems_of_metric(metric, f"{_SPEC}.metrics[{index}]")


def _problems_of_metric(metric: Metric, path: str) -> Iterator[Problem]:
    expected = _MEMBERS.get(metric.type, "")
    given = {name for name in _MEMBERS.values() if getattr(metric, _attribute(name)) is not None}
    if expected and expected not in given:
        yield Problem(f"{path}.{expected}", f"is required with the type {metric.type}")
    for name in sorted(given - {expected}):
        yield Problem(f"{path}.{name}", f"is not allowed with the type {metric.type}")
    yield from _problems_of_preset(metric, path)
    if expected in given:
        yield from _problems_of_source(metric, expected, f"{path}.{expected}")


def _problems_of_preset(metric: Metric, path: str) -> Iterator[Problem]:
    """What is wrong with the target of a preset; other types have theirs elsewhere."""
    other = f"; set it in {_MEMBERS[metric.type]}.target" if metric.type in _TARGETS else ""
    if metric.average_utilization is not None and not metric.type.is_percentage:
        yield Problem(f"{path}.averageUtilization", f"is not allowed with the type {metric.type}{other}")
    if metric.average_value is None:
        if metric.type is MetricType.REQUESTS_PER_SECOND:
            message = "is required with the type RequestsPerSecond: the requests that one replica serves in a second"
            yield Problem(f"{path}.averageValue", message)
    elif not metric.type.is_average:
        yield Problem(f"{path}.averageValue", f"is not allowed with the type {metric.type}{other}")
    elif not parse_exact(str(metric.average_value)):
        message = f"{metric.average_value!r} is not a positive quantity such as 500m or 10"
        yield Problem(f"{path}.averageValue", message)


def _problems_of_source(metric: Metric, member: str, path: str) -> Iterator[Problem]:
    """What is wrong with the target; the CRD of an older release may have accepted a member that cannot be read."""
    try:
        typed = msgspec.convert(msgspec.to_builtins(metric), MetricSpec)
    except msgspec.ValidationError as error:
        yield Problem(path, str(error))
        return
    if metric.type not in _TARGETS:
        return
    target: MetricTarget = getattr(typed, _attribute(member)).target
    if target.type not in _TARGETS[metric.type]:
        allowed = " or ".join(_TARGETS[metric.type])
        yield Problem(f"{path}.target.type", f"{target.type} is not allowed with the type {metric.type}; use {allowed}")
        return
    yield from _problems_of_target(target, f"{path}.target")


def _problems_of_target(target: MetricTarget, path: str) -> Iterator[Problem]:
    for kind, name in _VALUES.items():
        value = getattr(target, _attribute(name))
        if (value is not None) != (kind == target.type):
            problem = "is required" if value is None else "is not allowed"
            yield Problem(f"{path}.{name}", f"{problem} with the type {target.type}")
        elif value is not None and not parse_exact(str(value)):
            yield Problem(f"{path}.{name}", f"{value!r} is not a positive quantity such as 500m or 10")


def _attribute(name: str) -> str:
    """The attribute of a field: `containerResource` is container_resource."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
