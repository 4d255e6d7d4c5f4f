"""All conditions but Ready, each a pure function of the Assessment.

Conditions that depend on Ready take its verdict as an argument, so that the two cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.api import conditions as types
from triton_operator.api.conditions import PREPARE_REASONS, TERMINAL, Reason
from triton_operator.api.status import Truth
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.exposed import judge_exposed
from triton_operator.reconcile.judged_control import JudgedControl
from triton_operator.reconcile.pods import is_prepared, is_ready
from triton_operator.reconcile.privacy_controls import summarize
from triton_operator.reconcile.readiness import Verdict, judge_cache, judge_equal_models, judge_ready
from triton_operator.reconcile.scaling import judge_scaling
from triton_operator.reconcile.vulnerability import judge_vulnerability

_SCHEDULE_REASONS = frozenset({Reason.INSUFFICIENT_GPU, Reason.UNSCHEDULABLE, Reason.VOLUME_UNBOUND})


def judge_all(assessment: Assessment, controls: Sequence[JudgedControl]) -> dict[str, Verdict]:
    """Every condition that applies to this deployment, in the order in which they are shown.

    `controls` are its privacy controls.
    """
    ready = judge_ready(assessment)
    verdicts: dict[str, Verdict | None] = {
        types.READY: ready,
        types.AVAILABLE: _available(assessment),
        types.ACCEPTED: _accepted(assessment),
        types.SCHEDULED: _scheduled(assessment),
        types.MODELS_PREPARED: _prepared(assessment),
        types.MODELS_LOADED: _loaded(assessment, ready),
        types.RECONCILING: _reconciling(ready),
        types.STALLED: _stalled(ready),
        types.PRIVACY_ENFORCED: summarize(controls),
        types.SCALING_ACTIVE: judge_scaling(assessment),
        types.EXPOSED: judge_exposed(assessment),
        types.RUNTIME_VULNERABLE: judge_vulnerability(assessment),
    }
    return {kind: verdict for kind, verdict in verdicts.items() if verdict}


def _available(assessment: Assessment) -> Verdict:
    canary = sum(is_ready(pod) and not pod.deleting for pod in assessment.observed.canary_pods)
    serving = (assessment.state.available_replicas if assessment.state else 0) + canary
    if serving:
        return Verdict(
            Truth.TRUE, Reason.AVAILABLE, f"{serving} {'replica serves' if serving == 1 else 'replicas serve'}"
        )
    if assessment.is_replaced_in_place:
        return Verdict(Truth.FALSE, Reason.REPLACING_IN_PLACE, "the replica is being replaced by the new revision")
    return Verdict(Truth.FALSE, Reason.UNAVAILABLE, "no replica serves")


def _accepted(assessment: Assessment) -> Verdict:
    if assessment.blocked:
        return Verdict(Truth.FALSE, assessment.blocked.reason, assessment.blocked.message)
    return Verdict(Truth.TRUE, Reason.ACCEPTED, "the spec is valid and all child objects exist")


def _no_pods(assessment: Assessment) -> Verdict:
    """The verdict on pods while there are none."""
    message = (
        "no replicas are desired" if not assessment.desired_replicas else "no pod of the current generation exists"
    )
    return Verdict(Truth.UNKNOWN, Reason.WAITING, message)


def _scheduled(assessment: Assessment) -> Verdict:
    if not assessment.pods:
        return _no_pods(assessment)
    for diagnosis in assessment.diagnoses:
        if diagnosis.reason in _SCHEDULE_REASONS:
            return Verdict(Truth.FALSE, diagnosis.reason, diagnosis.message)
    if all(pod.node for pod in assessment.pods):
        return Verdict(Truth.TRUE, Reason.SCHEDULED, "every replica is scheduled")
    return Verdict(Truth.FALSE, Reason.WAITING, "waiting for the scheduler")


def _prepared(assessment: Assessment) -> Verdict:
    if caching := judge_cache(assessment):
        return caching
    if not assessment.pods:
        return _no_pods(assessment)
    prepared = all(is_prepared(pod) for pod in assessment.pods)
    for diagnosis in assessment.diagnoses:
        if diagnosis.reason in PREPARE_REASONS and not prepared:
            return Verdict(Truth.FALSE, diagnosis.reason, diagnosis.message)
    if different := judge_equal_models(assessment):
        return different
    if prepared:
        return Verdict(Truth.TRUE, Reason.PREPARED, "every replica has prepared its models")
    return Verdict(Truth.FALSE, Reason.WAITING, "replicas are preparing their models")


def _loaded(assessment: Assessment, ready: Verdict) -> Verdict:
    if not assessment.pods:
        return _no_pods(assessment)
    if assessment.loaded_pods == len(assessment.pods):
        return Verdict(Truth.TRUE, Reason.LOADED, "Triton has loaded every model in every replica")
    own = [diagnosis for diagnosis in assessment.diagnoses if not diagnosis.injected]
    if own and own[0] is assessment.diagnoses[0]:
        return Verdict(Truth.FALSE, ready.reason, ready.message)
    if own:
        return Verdict(Truth.FALSE, own[0].reason, own[0].message)
    return Verdict(
        Truth.FALSE,
        Reason.WAITING,
        f"{assessment.loaded_pods} of {len(assessment.pods)} replicas have loaded every model",
    )


def _reconciling(ready: Verdict) -> Verdict:
    if ready.status is Truth.TRUE or ready.reason in TERMINAL or ready.reason == Reason.ROLLOUT_PAUSED:
        return Verdict(Truth.FALSE, Reason.SETTLED)
    return Verdict(Truth.TRUE, Reason.PROGRESSING, ready.message)


def _stalled(ready: Verdict) -> Verdict:
    if ready.reason in TERMINAL:
        return Verdict(Truth.TRUE, ready.reason, ready.message)
    return Verdict(Truth.FALSE, Reason.SETTLED)
