"""Ready: an ordered list of checks of an Assessment; the first failing one determines reason and message.

Pure. The order is: the spec, the requested replicas, the cache, the certificate, the pods, the rollout, the models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.status import CanaryPhase, RolloutMethod, Truth
from triton_operator.cluster.observed import ObservedCondition
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.pods import ADDED_BY_OTHERS, is_injected
from triton_operator.reconcile.retry_hint import retry_hint
from triton_operator.reconcile.variants import describe

_NO_ACCOUNT = "error looking up service account"
"""In the message of the ReplicaSet controller, if the ServiceAccount of the pods does not exist."""
_NO_ACCOUNT_HINT = (
    # Work queues of Kubernetes' controllers double their pause up to 1000 seconds.
    "create the account, or correct spec.serviceAccount.name; "
    "Kubernetes retries automatically, at least every 17 minutes"
)


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
            return _with_rollback(verdict, assessment)
    count = assessment.desired_replicas
    pods = "1 replica has" if count == 1 else f"{count} replicas have"
    if rollback := assessment.observed.rollback:
        restored = f"pods of revision {rollback.state.restored_revision} serve instead: {pods} every model loaded"
        remedy = "change the spec, or set spec.rollout.restartedAt to try again"
        return Verdict(Truth.TRUE, Reason.ROLLED_BACK, join(rollback.state.message, restored, remedy))
    paused = "spec.rollout.paused is set, so pods stay as they are" if _is_paused(assessment) else ""
    return Verdict(Truth.TRUE, Reason.SERVING, join(f"{pods} every model loaded", paused))


def _make_sure_no_canary_runs(assessment: Assessment) -> Verdict | None:
    """All stable replicas serve, but not the revision that the spec requests."""
    canary = assessment.rollout.canary if assessment.rollout else None
    if canary is None or canary.phase is CanaryPhase.ABORTED:
        return None
    reason = Reason.ROLLOUT_PAUSED if _is_paused(assessment) else Reason.ROLLING_OUT
    return Verdict(Truth.FALSE, reason, f"canary: {canary.message}")


def _with_rollback(verdict: Verdict, assessment: Assessment) -> Verdict:
    """The verdict with what became of spec.rollout.rollbackOnFailure."""
    observed = assessment.observed
    if observed.rollback:
        about = (
            f"rolled back to revision {observed.rollback.state.restored_revision}: {observed.rollback.state.message}"
        )
    else:
        about = f"not rolled back: {observed.why_no_rollback}" if observed.why_no_rollback else ""
    return verdict._replace(message=join(verdict.message, about))


def _make_sure_the_spec_is_accepted(assessment: Assessment) -> Verdict | None:
    if assessment.blocked is None:
        return None
    return Verdict(Truth.FALSE, assessment.blocked.reason, assessment.blocked.message)


def _make_sure_it_is_not_suspended(assessment: Assessment) -> Verdict | None:
    if not assessment.observed.deployment.spec.suspend:
        return None
    return _stopped(assessment, Reason.SUSPENDED, "spec.suspend is set", "set it to false to serve again")


def _make_sure_pods_are_desired(assessment: Assessment) -> Verdict | None:
    spec = assessment.observed.deployment.spec
    if assessment.desired_replicas or (spec.autoscaling and spec.autoscaling.min_replicas):
        return None
    if spec.autoscaling:
        cause = "KEDA has stopped all replicas"
        return _stopped(assessment, Reason.SCALED_TO_ZERO, cause, "an active trigger starts one, see ScalingActive")
    if spec.replicas:
        cause = "an autoscaler that the operator did not create has stopped all replicas"
        return _stopped(assessment, Reason.SCALED_TO_ZERO, cause, "see the condition ScalingActive")
    return _stopped(assessment, Reason.SCALED_TO_ZERO, "spec.replicas is 0", "increase it to serve again")


def _stopped(assessment: Assessment, reason: str, cause: str, remedy: str) -> Verdict:
    """Ready is True when no pod is left, because that is what the user requested; a Deployment does the same."""
    left = assessment.terminating_replicas
    if left or not assessment.is_scaled_down:
        ending = "1 replica is" if left == 1 else f"{left} replicas are"
        return Verdict(
            Truth.FALSE, reason, f"{cause}; {ending} still terminating" if left else f"{cause}; scaling down"
        )
    return Verdict(Truth.TRUE, reason, f"{cause}; {remedy}")


def judge_cache(assessment: Assessment) -> Verdict | None:
    """Why pods of this generation are not created yet; None if its cache is filled, or if it needs none."""
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


def _make_sure_there_is_a_certificate(assessment: Assessment) -> Verdict | None:
    failure = assessment.certificate_failure
    if failure is None:
        return None
    message = join(failure.message, failure.retry_hint, _describe_older(assessment))
    return Verdict(Truth.FALSE, failure.reason, message)


def _make_sure_nothing_forbids_pods(assessment: Assessment) -> Verdict | None:
    condition = _deployment_condition(assessment, "ReplicaFailure")
    if condition is None or condition.status != "True" or assessment.makes_room:
        return None
    if _NO_ACCOUNT in condition.message:
        message = join(condition.message, _NO_ACCOUNT_HINT, _describe_older(assessment))
        return Verdict(Truth.FALSE, Reason.DEPENDENCY_MISSING, message)
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in condition.message else Reason.FORBIDDEN
    return Verdict(Truth.FALSE, reason, join(condition.message, retry_hint(reason), *_about_older(assessment)))


def _make_sure_no_pod_fails(assessment: Assessment) -> Verdict | None:
    if not assessment.diagnoses:
        return None
    worst = assessment.diagnoses[0]
    return Verdict(Truth.FALSE, worst.reason, join(worst.message, worst.retry_hint, *_about_older(assessment)))


def _make_sure_the_rollout_is_not_paused(assessment: Assessment) -> Verdict | None:
    """Only an unfinished rollout is a reason: other pods are not affected by the pause."""
    is_complete = (assessment.rollout is None or assessment.rollout.method is None) and len(
        assessment.pods
    ) >= assessment.desired_replicas
    if not _is_paused(assessment) or is_complete:
        return None
    message = join(
        f"spec.rollout.paused is set; {_progress(assessment)}",
        _describe_older(assessment),
        "set it to false to continue the rollout",
    )
    return Verdict(Truth.FALSE, Reason.ROLLOUT_PAUSED, message)


def _is_paused(assessment: Assessment) -> bool:
    return assessment.observed.deployment.spec.rollout.paused


def _make_sure_the_rollout_makes_progress(assessment: Assessment) -> Verdict | None:
    condition = _deployment_condition(assessment, "Progressing")
    if condition is None or condition.reason != "ProgressDeadlineExceeded":
        return None
    reason = Reason.PROGRESS_DEADLINE_EXCEEDED
    return Verdict(Truth.FALSE, reason, join(condition.message, retry_hint(reason), _describe_older(assessment)))


def _make_sure_all_are_ready(assessment: Assessment) -> Verdict | None:
    if assessment.is_served:
        return None
    progress = _progress(assessment)
    if assessment.was_serving:
        return Verdict(Truth.FALSE, Reason.PODS_NOT_READY, f"{progress}; {_describe_others(assessment)}")
    in_place = assessment.rollout and assessment.rollout.method is RolloutMethod.IN_PLACE
    method = assessment.rollout.message if assessment.rollout and in_place else ""
    return Verdict(Truth.FALSE, Reason.ROLLING_OUT, join(progress, method, _describe_injected(assessment)))


def _progress(assessment: Assessment) -> str:
    return f"{assessment.ready_pods} of {assessment.desired_replicas} replicas serve the current generation"


def _describe_others(assessment: Assessment) -> str:
    """What is known about the replicas that do not serve."""
    unready = len(assessment.pods) - assessment.ready_pods
    if unready:
        return f"{unready} more {'is' if unready == 1 else 'are'} running but not ready"
    there = assessment.state.current_replicas if assessment.state else 0
    if there > assessment.desired_replicas:
        return (
            f"the Deployment has {there} replicas; if this persists, a program that is not a HorizontalPodAutoscaler "
            "scales it: stop it, or let it scale the ModelDeployment"
        )
    return "the others are being replaced"


def _describe_injected(assessment: Assessment) -> str:
    """A message about the injected init container that a pod waits for; "" if there is none.

    The container is still running, so this is progress and not a failure.
    """
    for pod in assessment.pods:
        for container in pod.containers:
            if container.init and is_injected(container) and container.running and not container.started:
                return f"pod {pod.name} waits for container {container.name}, {ADDED_BY_OTHERS}"
    return ""


def judge_equal_models(assessment: Assessment) -> Verdict | None:
    """Which replicas have different models; None if all have the same."""
    if not assessment.differing_models:
        return None
    where = "; ".join(f"model {name}: {describe(variants)}" for name, variants in assessment.differing_models.items())
    metadata = assessment.observed.deployment.metadata
    restart = f"kubectl rollout restart -n {metadata.namespace} deployment/{metadata.name}"
    return Verdict(
        Truth.FALSE,
        Reason.REPLICAS_DIFFER,
        join(
            f"replicas have different content: {where}",
            f"to serve the newest content on all replicas, run: {restart}",
            "to keep them equal, set spec.models[].digest",
        ),
    )


_CHECKS: tuple[Callable[[Assessment], Verdict | None], ...] = (
    _make_sure_the_spec_is_accepted,
    _make_sure_it_is_not_suspended,
    _make_sure_pods_are_desired,
    judge_cache,
    _make_sure_there_is_a_certificate,
    _make_sure_nothing_forbids_pods,
    _make_sure_no_pod_fails,
    _make_sure_the_rollout_is_not_paused,
    _make_sure_the_rollout_makes_progress,
    _make_sure_all_are_ready,
    _make_sure_no_canary_runs,
    judge_equal_models,
)


def _describe_older(assessment: Assessment) -> str:
    """How many replicas of older revisions still serve, "" for none."""
    count = assessment.older_serving
    if not count:
        return ""
    return "1 older replica keeps serving" if count == 1 else f"{count} older replicas keep serving"


def _about_older(assessment: Assessment) -> tuple[str, ...]:
    """How many replicas of older revisions still serve, and why none of them is stopped to make room."""
    rollout = assessment.rollout
    if rollout is None or rollout.method is not RolloutMethod.SURGE or not rollout.message:
        return (_describe_older(assessment),)
    remedy = "to stop all old pods first nevertheless, set spec.rollout.strategy to Recreate; nothing serves meanwhile"
    return _describe_older(assessment), rollout.message, remedy


def _deployment_condition(assessment: Assessment, kind: str) -> ObservedCondition | None:
    conditions = assessment.state.conditions if assessment.state else ()
    return next((condition for condition in conditions if condition.type == kind), None)
