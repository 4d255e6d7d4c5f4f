"""Ready: an ordered chain of checks over a Assessment; the first failing one gives reason and message.

Pure. The order is from the user's own will, through the spec, the API server and the scheduler, to the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import Condition as ChildCondition
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.pods import is_injected
from triton_operator.reconcile.retry_hint import retry_hint
from triton_operator.reconcile.variants import describe


class Verdict(NamedTuple):
    """The value of a condition."""

    status: Truth
    reason: str
    message: str = ""


def judge_ready(assessment: Assessment) -> Verdict:
    """Whether the current generation is fully served, and if not, why."""
    for check in _CHECKS:
        verdict = check(assessment)
        if verdict:
            return verdict
    count = assessment.desired_replicas
    pods = "1 replica has" if count == 1 else f"{count} replicas have"
    return Verdict(Truth.TRUE, Reason.SERVING, f"{pods} every model loaded")


def _make_sure_the_spec_is_accepted(assessment: Assessment) -> Verdict | None:
    if assessment.blocked is None:
        return None
    return Verdict(Truth.FALSE, assessment.blocked.reason, assessment.blocked.message)


def _make_sure_it_is_not_suspended(assessment: Assessment) -> Verdict | None:
    if not assessment.observed.deployment.spec.suspend:
        return None
    return _stopped(assessment, Reason.SUSPENDED, "spec.suspend is set", "set it to false to serve again")


def _make_sure_pods_are_wanted(assessment: Assessment) -> Verdict | None:
    if assessment.desired_replicas or assessment.observed.deployment.spec.autoscaling:
        return None
    return _stopped(assessment, Reason.SCALED_TO_ZERO, "spec.replicas is 0", "increase it to serve again")


def _stopped(assessment: Assessment, reason: str, cause: str, remedy: str) -> Verdict:
    """What the user asked for is reached when no pod is left: then Ready is True, as that of a Deployment would be."""
    left = assessment.left_to_end
    if left or not assessment.is_scaled_down:
        ending = "1 replica is" if left == 1 else f"{left} replicas are"
        return Verdict(
            Truth.FALSE, reason, f"{cause}; {ending} still terminating" if left else f"{cause}; scaling down"
        )
    return Verdict(Truth.TRUE, reason, f"{cause}; {remedy}")


def judge_cache(assessment: Assessment) -> Verdict | None:
    """Why pods of this generation are not made yet; None when its cache is filled, or when it needs none."""
    caching = assessment.observed.caching
    if caching is None or caching.generation.filled:
        return None
    failure, older = assessment.cache_failure, _describe_older(assessment)
    if failure:
        return Verdict(Truth.FALSE, failure.reason, join(failure.message, failure.retry_hint, older))
    if assessment.blocked and caching.job is None:
        return Verdict(Truth.FALSE, assessment.blocked.reason, join(assessment.blocked.message, older))
    progress = (
        f"a Job is fetching the models into claim {caching.generation.name}; pods are created when it has finished"
    )
    return Verdict(Truth.FALSE, Reason.CACHING, join(progress, older))


def _make_sure_nothing_forbids_pods(assessment: Assessment) -> Verdict | None:
    condition = _deployment_condition(assessment, "ReplicaFailure")
    if condition is None or condition.status != "True":
        return None
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in condition.message else Reason.FORBIDDEN
    return Verdict(Truth.FALSE, reason, join(condition.message, retry_hint(reason), _describe_older(assessment)))


def _make_sure_no_pod_fails(assessment: Assessment) -> Verdict | None:
    if not assessment.diagnoses:
        return None
    worst = assessment.diagnoses[0]
    return Verdict(Truth.FALSE, worst.reason, join(worst.message, worst.retry_hint, _describe_older(assessment)))


def _make_sure_the_rollout_moves(assessment: Assessment) -> Verdict | None:
    condition = _deployment_condition(assessment, "Progressing")
    if condition is None or condition.reason != "ProgressDeadlineExceeded":
        return None
    reason = Reason.PROGRESS_DEADLINE_EXCEEDED
    return Verdict(Truth.FALSE, reason, join(condition.message, retry_hint(reason), _describe_older(assessment)))


def _make_sure_all_are_ready(assessment: Assessment) -> Verdict | None:
    if assessment.is_served:
        return None
    progress = f"{assessment.ready_pods} of {assessment.desired_replicas} replicas serve the current generation"
    if assessment.was_serving:
        return Verdict(Truth.FALSE, Reason.PODS_NOT_READY, f"{progress}; {_describe_others(assessment)}")
    return Verdict(Truth.FALSE, Reason.ROLLING_OUT, join(progress, _describe_injected(assessment)))


def _describe_others(assessment: Assessment) -> str:
    """What is known of the replicas that do not serve."""
    unready = len(assessment.pods) - assessment.ready_pods
    if unready:
        return f"{unready} more are running but not ready"
    there = assessment.state.current_replicas if assessment.state else 0
    if there > assessment.desired_replicas:
        return (
            f"the Deployment has {there} replicas; if this persists, something else scales it, such as a "
            "HorizontalPodAutoscaler that the operator did not create: remove it, or set spec.autoscaling"
        )
    return "the others are being replaced"


def _describe_injected(assessment: Assessment) -> str:
    """Which init container of somebody else a pod waits for: it has not ended, so that nothing is wrong with it yet."""
    for pod in assessment.pods:
        for container in pod.containers:
            if container.init and is_injected(container) and container.running and not container.started:
                return f"pod {pod.name} waits for container {container.name}, which the operator did not add"
    return ""


def judge_sameness(assessment: Assessment) -> Verdict | None:
    """Why replicas give different answers; None when all have the same models."""
    if not assessment.mixed:
        return None
    where = "; ".join(f"model {name}: {describe(variants)}" for name, variants in assessment.mixed.items())
    metadata = assessment.observed.deployment.metadata
    restart = f"kubectl rollout restart -n {metadata.namespace} deployment/{metadata.name}"
    return Verdict(
        Truth.FALSE,
        Reason.REPLICAS_DIFFER,
        join(
            f"replicas have different contents: {where}",
            f"to serve the newest contents everywhere, run: {restart}",
            "to keep them equal, set spec.models[].digest",
        ),
    )


_CHECKS: tuple[Callable[[Assessment], Verdict | None], ...] = (
    _make_sure_the_spec_is_accepted,
    _make_sure_it_is_not_suspended,
    _make_sure_pods_are_wanted,
    judge_cache,
    _make_sure_nothing_forbids_pods,
    _make_sure_no_pod_fails,
    _make_sure_the_rollout_moves,
    _make_sure_all_are_ready,
    judge_sameness,
)


def _describe_older(assessment: Assessment) -> str:
    """That a failed rollout has not taken the service down."""
    count = assessment.older_serving
    if not count:
        return ""
    return "1 older replica keeps serving" if count == 1 else f"{count} older replicas keep serving"


def _deployment_condition(assessment: Assessment, kind: str) -> ChildCondition | None:
    conditions = assessment.state.conditions if assessment.state else ()
    return next((condition for condition in conditions if condition.type == kind), None)
