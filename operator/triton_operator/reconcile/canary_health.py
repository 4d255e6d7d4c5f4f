"""Whether the pods of a canary are healthy. Pure.

The operator does not connect to serving pods, so it does not know their error rate and latency. It judges what the
kubelet and the Deployment controller report: readiness, restarts, failures that persist, and the deadline.
"""

from __future__ import annotations

from datetime import timedelta

from triton_operator.api.conditions import TERMINAL
from triton_operator.api.names import CONTAINER_TRITON
from triton_operator.api.spec import Spec
from triton_operator.cluster.observed import DeploymentState, Pod
from triton_operator.reconcile.canary import CanaryHealth, describe_late
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pod_failures import diagnose
from triton_operator.reconcile.pods import is_over, is_proxy, is_ready
from triton_operator.resources.rollout import progress_deadline_seconds

JUDGED = "judged by readiness and restarts; the operator does not see requests, so compare error rates and latency"


def judge_canary(observed: ObservedState, spec: Spec, template_hash: str, replicas: int) -> CanaryHealth:
    """The health of the pods of this template; `spec` is that of the canary, which should have these replicas."""
    state = observed.canary_state
    pods = [pod for pod in observed.canary_pods if pod.revision == template_hash and not (pod.deleting or is_over(pod))]
    unready = [pod for pod in pods if not is_ready(pod)]
    failure = next(
        (
            cause
            for cause in (_restarted(pods), _cannot_serve(observed, unready, spec), _is_late(observed, unready, spec))
            if cause
        ),
        "",
    )
    return CanaryHealth(
        is_complete=_is_complete(state, replicas) and not unready,
        failing=_has_stopped_serving(unready),
        failure=failure,
        obstacle=describe_obstacle(observed, unready, spec),
        deadline=None if _is_timed(state) else _deadline(spec),
    )


def _is_complete(state: DeploymentState | None, replicas: int) -> bool:
    return (
        state is not None
        and state.observed_generation >= state.generation
        and state.updated_replicas == state.current_replicas == state.ready_replicas == state.replicas == replicas
    )


def _is_timed(state: DeploymentState | None) -> bool:
    """Whether Kubernetes applies the deadline: it does not after all pods of a template have been available once.

    Pods that a later step adds, and those that replace lost ones, may therefore wait forever for a node or a quota.
    """
    if state is None or state.observed_generation < state.generation:
        return True
    return not any(each.type == "Progressing" and each.reason == "NewReplicaSetAvailable" for each in state.conditions)


def _deadline(spec: Spec) -> timedelta:
    return timedelta(seconds=progress_deadline_seconds(spec))


def _restarted(pods: list[Pod]) -> str:
    """Containers restart after a crash, and after the liveness probe failed."""
    for pod in pods:
        for container in pod.containers:
            if container.restarts and (container.name == CONTAINER_TRITON or is_proxy(container)):
                ended = container.last_terminated
                why = f" ({ended.reason}, exit code {ended.exit_code})" if ended else ""
                return f"container {container.name} of pod {pod.name} restarted{why}"
    return ""


def _cannot_serve(observed: ObservedState, unready: list[Pod], spec: Spec) -> str:
    """A failure that persists until a person fixes the cause."""
    found = (each for pod in unready for each in diagnose(pod, observed.pod_events.get(pod.uid, ()), spec))
    return next((f"{each.reason}: {each.message}" for each in found if each.reason in TERMINAL), "")


def _is_late(observed: ObservedState, unready: list[Pod], spec: Spec) -> str:
    """The deadline of the Deployment has passed; the cause may be a pod, or that none can be created."""
    state = observed.canary_state
    if state is None or state.observed_generation < state.generation:
        return ""
    if not any(each.type == "Progressing" and each.reason == "ProgressDeadlineExceeded" for each in state.conditions):
        return ""
    return describe_late(_deadline(spec), describe_obstacle(observed, unready, spec))


def describe_obstacle(observed: ObservedState, unready: list[Pod], spec: Spec) -> str:
    """What the pods that are not ready wait for, "" if nothing is wrong with them."""
    found = (each for pod in unready for each in diagnose(pod, observed.pod_events.get(pod.uid, ()), spec))
    if diagnosis := next(found, None):
        return f"{diagnosis.reason}: {diagnosis.message}"
    conditions = observed.canary_state.conditions if observed.canary_state else ()
    return next((each.message for each in conditions if each.type == "ReplicaFailure" and each.status == "True"), "")


def _has_stopped_serving(unready: list[Pod]) -> str:
    """A started Triton is not ready; one that is still starting is not a failure, also in a pod after a drain."""
    for pod in unready:
        if any(each.name == CONTAINER_TRITON and each.started and not each.ready for each in pod.containers):
            return f"pod {pod.name} is not ready although Triton has started"
    return ""
