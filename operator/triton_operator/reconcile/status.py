"""Derive the whole status of a deployment from its Assessment.

Pure. The status is derived from scratch each time; only transition times and the last failure are carried over from
the previous one. The reconciler writes the result if it differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from triton_operator.api.conditions import READY, Reason
from triton_operator.api.spec import Spec
from triton_operator.api.status import (
    CacheStatus,
    Condition,
    Control,
    Failure,
    PrivacyStatus,
    RevisionStatus,
    RolloutStatus,
    Status,
)
from triton_operator.cluster.observed import Pod
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.cache_progress import derive_cache
from triton_operator.reconcile.conditions import judge_all
from triton_operator.reconcile.container_ends import judge_end
from triton_operator.reconcile.endpoints import derive_endpoints
from triton_operator.reconcile.history import past_revisions, reachable_revision
from triton_operator.reconcile.judged_control import JudgedControl
from triton_operator.reconcile.messages import clip
from triton_operator.reconcile.model_states import derive_models
from triton_operator.reconcile.observed_state import selector
from triton_operator.reconcile.pod_failures import judge_eviction
from triton_operator.reconcile.pods import ended_at, is_ready, last_termination
from triton_operator.reconcile.privacy_controls import judge_controls
from triton_operator.reconcile.readiness import Verdict
from triton_operator.reconcile.times import format_time
from triton_operator.reconcile.upgrades import next_upgrade


def derive_status(assessment: Assessment) -> Status:
    """The complete status."""
    observed = assessment.observed
    deployment = observed.deployment
    state = assessment.state
    controls = judge_controls(assessment)
    verdicts = judge_all(assessment, controls)
    conditions = _conditions(verdicts, assessment)
    return Status(
        observed_generation=deployment.metadata.generation,
        replicas=state.current_replicas if state else 0,
        ready_replicas=state.ready_replicas if state else 0,
        updated_replicas=state.updated_replicas if state else 0,
        selector=selector(deployment),
        models=derive_models(
            deployment,
            assessment.pods,
            assessment.diagnoses,
            assessment.differing_models,
            any_ready=assessment.loaded_pods > 0,
        ),
        endpoints=derive_endpoints(observed, reachable_revision(observed, assessment.revision)),
        revisions=_revisions(assessment),
        last_ready_revision=_last_ready(assessment, verdicts[READY]),
        rollout=_clipped(assessment.rollout),
        cache=_cache(assessment),
        privacy=_privacy(controls, assessment),
        last_failure=_last_failure(assessment),
        upgrade=next_upgrade(observed, conditions, is_served=assessment.is_served),
        conditions=conditions,
    )


def _revisions(assessment: Assessment) -> tuple[RevisionStatus, ...]:
    """The current revision, and older ones that still have pods."""
    current = assessment.revision.template_hash if assessment.revision else ""
    found: dict[str, RevisionStatus] = {}
    for past in past_revisions(assessment.observed):
        template = past.summary.template_hash
        pods = [pod for pod in assessment.observed.serving_pods if pod.revision == template and not pod.deleting]
        if template in found or not (pods or template == current):
            continue
        found[template] = RevisionStatus(
            name=past.name,
            generation=past.number,
            image=past.summary.server_image,
            ready=sum(is_ready(pod) for pod in pods),
            current=template == current,
        )
    return tuple(found.values())


def _clipped(rollout: RolloutStatus | None) -> RolloutStatus | None:
    return msgspec.structs.replace(rollout, message=clip(rollout.message)) if rollout else None


def _last_ready(assessment: Assessment, ready: Verdict) -> str:
    """The revision that is Ready now, or was last."""
    previous, current = assessment.observed.status, assessment.revision
    known = previous.last_ready_revision if previous else ""
    if current is None or ready.reason not in {Reason.SERVING, Reason.ROLLED_BACK}:
        return known
    past = past_revisions(assessment.observed)
    return next((each.name for each in past if each.summary.template_hash == current.template_hash), known)


def _cache(assessment: Assessment) -> CacheStatus | None:
    observed = assessment.observed
    if assessment.observed.caching is None:
        return None
    return derive_cache(assessment.observed.caching, assessment.cache_failure, observed, format_time(observed.now))


def _last_failure(assessment: Assessment) -> Failure | None:
    previous = assessment.observed.status
    known = previous.last_failure if previous else None
    spec = assessment.observed.deployment.spec
    pods = (*assessment.observed.serving_pods, *assessment.observed.cache_pods)
    seen = [failure for pod in pods for failure in _failures(pod, spec)]
    return max([*seen, *([known] if known else [])], key=lambda failure: failure.time, default=None)


def _failures(pod: Pod, spec: Spec) -> list[Failure]:
    """Why the kubelet has ended a pod for good; otherwise how each of its containers ended last."""
    if pod.deleting:
        return []
    eviction = judge_eviction(pod, spec)
    if eviction:
        message = clip(eviction.message)
        return [Failure(pod=pod.name, container="", reason=eviction.reason, message=message, time=ended_at(pod))]
    found = []
    for container in pod.containers:
        ended = last_termination(container)
        if ended is None or (ended.exit_code == 0 and container.init):
            continue
        judged = judge_end(container, ended, spec.triton.extra_args)[0]
        found.append(
            Failure(
                pod=pod.name,
                container=container.name,
                reason=judged.reason,
                exit_code=ended.exit_code,
                message=clip(judged.message),
                time=ended.finished_at,
            )
        )
    return found


def _conditions(verdicts: dict[str, Verdict], assessment: Assessment) -> tuple[Condition, ...]:
    previous = assessment.observed.status
    old = {condition.type: condition for condition in previous.conditions} if previous else {}
    generation = assessment.observed.deployment.metadata.generation
    now = format_time(assessment.observed.now)
    return tuple(
        Condition(
            type=kind,
            status=verdict.status,
            reason=verdict.reason,
            message=clip(verdict.message),
            observed_generation=generation,
            last_transition_time=_since(old.get(kind), verdict, now),
        )
        for kind, verdict in verdicts.items()
    )


def _privacy(controls: Sequence[JudgedControl], assessment: Assessment) -> PrivacyStatus | None:
    if not controls:
        return None
    previous = assessment.observed.status
    old = {control.name: control for control in previous.privacy.controls} if previous and previous.privacy else {}
    now = format_time(assessment.observed.now)
    return PrivacyStatus(tuple(each.control(_in_state_since(old.get(each.name), each, now)) for each in controls))


def _in_state_since(old: Control | None, judged: JudgedControl, now: str) -> str:
    """As for conditions; a status of an older release has no time."""
    return (old.last_transition_time if old and old.state is judged.state else "") or now


def _since(old: Condition | None, verdict: Verdict, now: str) -> str:
    """By Kubernetes' convention, the time changes only with the status, not with reason or message."""
    return old.last_transition_time if old and old.status == verdict.status else now
