"""ScalingActive: what the autoscaler sees and decides, in numbers.

Pure. The values of metrics change every 15 seconds, so the message contains those at the last change of a number of
replicas, of a condition of the autoscaler, or of the spec. Otherwise every deployment with an autoscaler would cause a
write every 15 seconds. `tritonctl status` shows live values.
"""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.api.autoscaling import Autoscaling
from triton_operator.api.conditions import SCALING_ACTIVE, Reason
from triton_operator.api.names import API_VERSION, KIND
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import Truth
from triton_operator.cluster.autoscaler_projection import describe_metrics
from triton_operator.cluster.observed import AutoscalerState, ObservedCondition, OtherAutoscaler
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.keda_scaling import advice_for, judge_keda, judge_obsolete, named_by_trigger
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.readiness import Verdict
from triton_operator.reconcile.replicas import decide_replicas

_EXTERNAL = "FailedGetExternalMetric"
_ADAPTERS = {
    "FailedGetResourceMetric": "metrics.k8s.io, usually metrics-server",
    "FailedGetContainerResourceMetric": "metrics.k8s.io, usually metrics-server",
    "FailedGetPodsMetric": "custom.metrics.k8s.io, such as prometheus-adapter",
    "FailedGetObjectMetric": "custom.metrics.k8s.io, such as prometheus-adapter",
    _EXTERNAL: "external.metrics.k8s.io, such as prometheus-adapter",
}
"""Who serves the metrics, by the reasons of the HorizontalPodAutoscaler controller."""
_SINCE = "at the last change, "
_UNREADABLE = (
    "another program has set the number of replicas, and the operator cannot read the HorizontalPodAutoscalers of the "
    "namespace, so it does not change the number"
)
_AMBIGUOUS = "delete the other autoscalers, or remove spec.autoscaling"


def judge_scaling(assessment: Assessment) -> Verdict | None:
    """The condition; None if no autoscaler exists."""
    observed = assessment.observed
    spec = observed.deployment.spec
    if spec.autoscaling is None:
        return _judge_others(observed)
    if spec.suspend:
        return Verdict(Truth.FALSE, Reason.SUSPENDED, "spec.suspend is set")
    waiting = judge_keda(observed, spec.autoscaling) if spec.autoscaling.uses_keda else judge_obsolete(observed)
    return waiting or _judge_autoscaler(observed, spec.autoscaling)


def _judge_autoscaler(observed: ObservedState, autoscaling: Autoscaling) -> Verdict:
    state = observed.autoscaler_state
    conditions = {each.type: each for each in state.conditions} if state else {}
    active, unable = conditions.get(SCALING_ACTIVE), conditions.get("AbleToScale")
    if state is None or active is None:
        return Verdict(Truth.UNKNOWN, Reason.SCALING_NOT_READY, "the autoscaler has not reported yet")
    if active.status != "True" or unable:
        failure = active if active.status != "True" or unable is None else unable
        return Verdict(Truth.FALSE, failure.reason or Reason.SCALING_NOT_READY, _describe_failure(failure, observed))
    return Verdict(Truth.TRUE, Reason.SCALING, _describe_numbers(state, autoscaling, observed))


def _judge_others(observed: ObservedState) -> Verdict | None:
    others = observed.other_autoscalers
    if decide_replicas(observed.deployment, observed.deployment_state, others).apply is not None:
        return None
    if others is None:
        return Verdict(Truth.UNKNOWN, Reason.SCALING_NOT_READY, _UNREADABLE)
    return Verdict(Truth.FALSE, Reason.OTHER_AUTOSCALER, _describe_others(others, observed.deployment))


def _describe_failure(failure: ObservedCondition, observed: ObservedState) -> str:
    adapter, autoscaling = _ADAPTERS.get(failure.reason), observed.deployment.spec.autoscaling
    if autoscaling and autoscaling.uses_keda and failure.reason == _EXTERNAL:
        return join(failure.message, advice_for(observed, autoscaling))
    if adapter:
        return join(failure.message, f"check that the cluster serves {adapter}")
    return join(failure.message, _AMBIGUOUS if failure.reason == "AmbiguousSelector" else "")


def _describe_numbers(state: AutoscalerState, bounds: Autoscaling, observed: ObservedState) -> str:
    """The decision, and the metrics that led to it: the previous message as long as the decision is the same."""
    replicas = "1 replica" if state.current_replicas == 1 else f"{state.current_replicas} replicas"
    limit = ", which is the maximum" if state.desired_replicas >= bounds.max_replicas else ""
    decision = f"{replicas}, {state.desired_replicas} desired{limit}"
    metrics = describe_metrics(named_by_trigger(observed, bounds, state.metrics) if bounds.uses_keda else state.metrics)
    kept = _previous_message(observed, f"{decision}; {_SINCE}")
    return kept or join(decision, f"{_SINCE}{metrics}" if metrics else "")


def _previous_message(observed: ObservedState, beginning: str) -> str:
    """The message in the status if it begins like this, for the same generation; "" otherwise."""
    generation = observed.deployment.metadata.generation
    for condition in observed.status.conditions if observed.status else ():
        if (condition.type, condition.status) == (SCALING_ACTIVE, Truth.TRUE) and (
            condition.observed_generation == generation and condition.message.startswith(beginning)
        ):
            return condition.message
    return ""


def _describe_others(others: Sequence[OtherAutoscaler], deployment: ModelDeployment) -> str:
    name = deployment.metadata.name
    found = ", ".join(
        f"ScaledObject {other.scaled_object}" if other.scaled_object else f"HorizontalPodAutoscaler {other.name}"
        for other in others
    )
    verb, theirs, them = ("scales", "its", "it") if len(others) == 1 else ("scale", "their", "them")
    return join(
        f"{found} {verb} Deployment {name}, so spec.replicas has no effect, and the operator does not set the number "
        "of replicas",
        f"set {theirs} scaleTargetRef to apiVersion {API_VERSION}, kind {KIND}, name {name}, or delete {them}",
    )
