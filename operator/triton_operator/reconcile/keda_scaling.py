"""ScalingActive of a deployment that KEDA scales, up to the numbers of KEDA's HorizontalPodAutoscaler.

Pure. `scaling` calls it. The checks are in the order in which scaling starts: KEDA is installed, the autoscaler of
another provider is gone, KEDA may read the pods, the ScaledObject exists, and KEDA has accepted it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from triton_operator.api.autoscaling import Autoscaling
from triton_operator.api.conditions import Reason
from triton_operator.api.names import PORT_METRICS
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import ObservedCondition, ObservedMetric, ScaledObjectState
from triton_operator.reconcile.autoscaler_choice import find_obsolete
from triton_operator.reconcile.failed_writes import KEDA_MISSING
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.readiness import Verdict
from triton_operator.resources.keda_triggers import describe_triggers, reads_pods

_NOT_PERMITTED = (
    "the operator may not read ScaledObjects of KEDA; set rbac.keda to true in the values of its Helm chart. The "
    "number of replicas stays as it is"
)
_BLOCKED = (
    f"KEDA cannot connect to the metrics port ({PORT_METRICS}) of the serving pods, because "
    "spec.privacy.network.metricsFrom is empty; add the namespace of KEDA, such as namespaceSelector: {matchLabels: "
    "{kubernetes.io/metadata.name: keda}}, or set spec.autoscaling.keda.prometheusServer"
)
_PAUSED = "the ScaledObject is paused; to resume, remove its annotations autoscaling.keda.sh/paused*"
_SILENT = "KEDA has not reported on the ScaledObject yet; if this persists, check that the operator of KEDA runs"
_INDEX = re.compile(r"s(\d+)-")
"""KEDA's name of an external metric begins with the index of the trigger."""


def judge_keda(observed: ObservedState, autoscaling: Autoscaling) -> Verdict | None:
    """Why KEDA does not scale, or that no replica is needed; None if its HorizontalPodAutoscaler has to be judged."""
    return (
        _judge_installation(observed)
        or judge_obsolete(observed)
        or _judge_network(observed, autoscaling)
        or _judge_scaled_object(observed, autoscaling)
    )


def judge_obsolete(observed: ObservedState) -> Verdict | None:
    """The autoscaler of the provider that was set before still exists; None if there is none."""
    obsolete = find_obsolete(observed)
    if not obsolete:
        return None
    names = " and ".join(f"{child.kind} {child.name}" for child in obsolete)
    hint = "KEDA has to run, because it deletes them" if observed.scaled_object in obsolete else ""
    return Verdict(Truth.UNKNOWN, Reason.SCALING_NOT_READY, join(f"the deletion of {names} has not finished yet", hint))


def _judge_installation(observed: ObservedState) -> Verdict | None:
    if observed.without_keda is None:
        return None
    if observed.without_keda is HTTPStatus.FORBIDDEN:
        return Verdict(Truth.FALSE, Reason.FORBIDDEN, _NOT_PERMITTED)
    return Verdict(Truth.FALSE, Reason.KEDA_NOT_INSTALLED, KEDA_MISSING)


def _judge_network(observed: ObservedState, autoscaling: Autoscaling) -> Verdict | None:
    privacy = observed.deployment.spec.privacy
    if reads_pods(autoscaling) and privacy.profile.is_private and not privacy.network.metrics_from:
        return Verdict(Truth.FALSE, Reason.METRICS_BLOCKED, _BLOCKED)
    return None


def _judge_scaled_object(observed: ObservedState, autoscaling: Autoscaling) -> Verdict | None:
    child = observed.scaled_object
    state = child.state if child and isinstance(child.state, ScaledObjectState) else ScaledObjectState()
    conditions = {each.type: each for each in state.conditions}
    paused, ready = conditions.get("Paused"), conditions.get("Ready")
    if paused and paused.status == "True":
        return Verdict(Truth.FALSE, Reason.PAUSED, _PAUSED)
    # KEDA initializes its conditions without a reason.
    if ready is None or (ready.status == "Unknown" and not ready.reason):
        return Verdict(Truth.UNKNOWN, Reason.SCALING_NOT_READY, _SILENT)
    if _is_stopped(observed, autoscaling):
        return Verdict(Truth.TRUE, Reason.SCALING, _describe_stopped(autoscaling))
    if ready.status != "True":
        reason = ready.reason or Reason.SCALING_NOT_READY
        return Verdict(Truth.FALSE, reason, _describe_failure(ready, observed, autoscaling))
    return None


def named_by_trigger(
    observed: ObservedState, autoscaling: Autoscaling, metrics: Iterable[ObservedMetric]
) -> tuple[ObservedMetric, ...]:
    """The metrics of KEDA's autoscaler with the names of presets and triggers instead of KEDA's."""
    names = describe_triggers(observed.deployment, autoscaling)

    def renamed(metric: ObservedMetric) -> ObservedMetric:
        found = _INDEX.match(metric.name)
        index = int(found[1]) if found else len(names)
        return msgspec.structs.replace(metric, name=names[index]) if index < len(names) else metric

    return tuple(map(renamed, metrics))


def advice_for(observed: ObservedState, autoscaling: Autoscaling) -> str:
    """What to check if KEDA cannot read metrics; "" if it is not known."""
    if not reads_pods(autoscaling):
        return "check the triggers, and that KEDA can connect to what they read"
    network = observed.deployment.spec.privacy
    allowed = ", and spec.privacy.network.metricsFrom its namespace to connect" if network.profile.is_private else ""
    return f"check that network policies allow KEDA to connect to port {PORT_METRICS} of the serving pods{allowed}"


def _is_stopped(observed: ObservedState, autoscaling: Autoscaling) -> bool:
    """Whether there is no replica, and none is needed. Then KEDA reports that it cannot read the replicas."""
    state = observed.deployment_state
    return autoscaling.min_replicas == 0 and state is not None and state.replicas == 0


def _describe_stopped(autoscaling: Autoscaling) -> str:
    triggers = (metric.trigger or {} for metric in autoscaling.triggers)
    found = dict.fromkeys(str(trigger.get("name") or trigger.get("type")) for trigger in triggers)
    return f"0 replicas; KEDA starts one when one of these triggers is active: {', '.join(found)}"


def _describe_failure(ready: ObservedCondition, observed: ObservedState, autoscaling: Autoscaling) -> str:
    return join(f"KEDA reports: {ready.message}", advice_for(observed, autoscaling))
