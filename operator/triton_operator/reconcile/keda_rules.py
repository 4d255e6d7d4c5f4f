"""Checks of what KEDA can do with the metrics of a spec, most of which the CRD also has.

Pure. `autoscaling_rules` calls it; all problems are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from triton_operator.api.autoscaling import Autoscaling, Metric, MetricType
from triton_operator.api.errors import Problem
from triton_operator.api.keda import METRICS_API, RESOURCE_TRIGGERS
from triton_operator.api.names import headless_service_name
from triton_operator.api.spec import Spec
from triton_operator.cluster.observed import Key
from triton_operator.resources.keda_triggers import find_unreadable

_SPEC = "spec.autoscaling"
_HPA_ONLY = frozenset(
    {
        MetricType.RESOURCE,
        MetricType.CONTAINER_RESOURCE,
        MetricType.PODS,
        MetricType.OBJECT,
        MetricType.EXTERNAL,
    }
)
_SERVER = re.compile(r"https?://[^\s@?#]+")
_NEVER = (
    "0 needs a metric of the type Trigger that can be active while there is no replica, such as cron, prometheus or a "
    "queue: CPU, memory and the metrics that Triton serves do not exist without one, so none would ever start"
)

_CREDENTIALS = (
    "KEDA would send variables of the serving pods, or Secrets, to the address in the trigger, which only the profile "
    "Open allows; with permission to create ScaledObjects, create one whose scaleTargetRef is the ModelDeployment"
)


def find_keda_problems(spec: Spec, key: Key) -> Iterator[Problem]:
    """What is wrong with the provider, and with the metrics that it cannot evaluate."""
    autoscaling = spec.autoscaling
    if autoscaling is None:
        return
    if not autoscaling.uses_keda:
        yield from _problems_without_keda(autoscaling)
        return
    server = autoscaling.prometheus_server
    if server and not _SERVER.fullmatch(server):
        yield Problem(f"{_SPEC}.keda.prometheusServer", "must be a URL such as http://prometheus.monitoring.svc:9090")
    for index, metric in enumerate(autoscaling.metrics):
        yield from _problems_of_metric(spec, metric, f"{_SPEC}.metrics[{index}]", server)
    if autoscaling.min_replicas == 0 and not any(_may_wake(metric, key) for metric in autoscaling.metrics):
        yield Problem(f"{_SPEC}.minReplicas", _NEVER)


def _problems_without_keda(autoscaling: Autoscaling) -> Iterator[Problem]:
    if autoscaling.min_replicas == 0:
        yield Problem(f"{_SPEC}.minReplicas", "0 requires spec.autoscaling.provider KEDA")
    if autoscaling.keda is not None:
        yield Problem(f"{_SPEC}.keda", "requires spec.autoscaling.provider KEDA")
    for index, metric in enumerate(autoscaling.metrics):
        if metric.type is MetricType.TRIGGER:
            yield Problem(f"{_SPEC}.metrics[{index}].type", "Trigger requires spec.autoscaling.provider KEDA")


def _problems_of_metric(spec: Spec, metric: Metric, path: str, server: str) -> Iterator[Problem]:
    if metric.type in _HPA_ONLY:
        message = f"{metric.type} requires spec.autoscaling.provider HPA; with KEDA, use a preset or the type Trigger"
        yield Problem(f"{path}.type", message)
    if not server and (why := find_unreadable(spec, metric)):
        remedy = "set spec.autoscaling.keda.prometheusServer, or use the provider HPA with a metrics adapter"
        yield Problem(f"{path}.type", f"{metric.type}: {why}; {remedy}")
    if metric.trigger is not None:
        yield from _problems_of_trigger(spec, metric.trigger, f"{path}.trigger")


def _problems_of_trigger(spec: Spec, trigger: dict[str, object], path: str) -> Iterator[Problem]:
    reference, metadata = trigger.get("authenticationRef"), trigger.get("metadata")
    if isinstance(reference, dict) and reference.get("kind") not in {None, "TriggerAuthentication"}:
        message = "must be TriggerAuthentication, because credentials of the cluster are not for every namespace"
        yield Problem(f"{path}.authenticationRef.kind", message)
    if not spec.privacy.profile.is_private:
        return
    if reference is not None:
        yield Problem(f"{path}.authenticationRef", _CREDENTIALS)
    if isinstance(metadata, dict):
        for key in sorted(key for key in metadata if str(key).endswith("FromEnv")):
            message = "KEDA would send a variable of the serving pods away, which only the profile Open allows"
            yield Problem(f"{path}.metadata.{key}", message)


def _may_wake(metric: Metric, key: Key) -> bool:
    """Whether a trigger can be active while there is no replica."""
    trigger = metric.trigger or {}
    kind, metadata = trigger.get("type"), trigger.get("metadata")
    if not kind or kind in RESOURCE_TRIGGERS:
        return False
    url = metadata.get("url") if isinstance(metadata, dict) else None
    return kind != METRICS_API or not _is_own_service(str(url), key)


def _is_own_service(url: str, key: Key) -> bool:
    """Whether the URL is that of a Service of the deployment; KEDA resolves names in its own namespace."""
    namespace, name = key
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # For example, text in brackets that is not an IPv6 address.
        return False
    service, _, rest = host.partition(".")
    return service in {name, headless_service_name(name)} and rest.partition(".")[0] == namespace
