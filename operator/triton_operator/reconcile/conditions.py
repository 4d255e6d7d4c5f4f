"""All conditions but Ready, each a pure function of the Assessment.

Conditions that depend on Ready take its verdict as an argument, so that the two cannot contradict each other.
"""

from __future__ import annotations

from triton_operator.api import conditions as types
from triton_operator.api.conditions import PREPARE_REASONS, TERMINAL, Reason
from triton_operator.api.privacy import Profile
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.pods import is_prepared
from triton_operator.reconcile.readiness import Verdict, judge_cache, judge_equal_models, judge_ready
from triton_operator.resources.cache_policy import egress_ports
from triton_operator.triton.server.versions import parse, vulnerability

_SCHEDULE_REASONS = frozenset({Reason.INSUFFICIENT_GPU, Reason.UNSCHEDULABLE, Reason.VOLUME_UNBOUND})


def judge_all(assessment: Assessment) -> dict[str, Verdict]:
    """Every condition that applies to this deployment, in the order in which they are shown."""
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
        types.PRIVACY_ENFORCED: _privacy_enforced(assessment),
        types.SCALING_ACTIVE: _scaling_active(assessment),
        types.RUNTIME_VULNERABLE: _runtime_vulnerable(assessment),
    }
    return {kind: verdict for kind, verdict in verdicts.items() if verdict}


def _available(assessment: Assessment) -> Verdict:
    serving = assessment.state.available_replicas if assessment.state else 0
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
    if ready.status is Truth.TRUE or ready.reason in TERMINAL:
        return Verdict(Truth.FALSE, Reason.SETTLED)
    return Verdict(Truth.TRUE, Reason.PROGRESSING, ready.message)


def _stalled(ready: Verdict) -> Verdict:
    if ready.status is Truth.FALSE and ready.reason in TERMINAL:
        return Verdict(Truth.TRUE, ready.reason, ready.message)
    return Verdict(Truth.FALSE, Reason.SETTLED)


def _privacy_enforced(assessment: Assessment) -> Verdict | None:
    deployment, caching = assessment.observed.deployment, assessment.observed.caching
    if deployment.spec.privacy.profile is Profile.OPEN:
        return None
    policies = [deployment.metadata.name, *([caching.generation.name] if caching and caching.generation.job else [])]
    for name in policies:
        if assessment.blocked and (Kind.NETWORK_POLICY, name) in assessment.blocked.taken:
            return Verdict(
                Truth.UNKNOWN,
                Reason.NAME_CONFLICT,
                f"NetworkPolicy {name} exists but is not part of this ModelDeployment, so its rules are not checked",
            )
        if (Kind.NETWORK_POLICY, name) not in assessment.observed.children:
            return Verdict(Truth.FALSE, Reason.POLICY_MISSING, f"NetworkPolicy {name} does not exist")
    cache = deployment.spec.cache
    if cache and not cache.egress.cidrs:
        ports = ", ".join(map(str, egress_ports(deployment.spec, cache)))
        return Verdict(
            Truth.FALSE,
            Reason.CACHE_EGRESS_OPEN,
            f"the Job that fills the cache may connect to port {ports} of any address; set spec.cache.egress.cidrs",
        )
    return Verdict(
        Truth.FALSE,
        Reason.TLS_NOT_CONFIGURED,
        "the NetworkPolicy exists, but traffic to the pods is not encrypted because spec.privacy.tls.mode is Disabled",
    )


def _scaling_active(assessment: Assessment) -> Verdict | None:
    if assessment.observed.deployment.spec.autoscaling is None:
        return None
    if assessment.observed.deployment.spec.suspend:
        return Verdict(Truth.FALSE, Reason.SUSPENDED, "spec.suspend is set")
    state = assessment.observed.autoscaler_state
    for condition in state.conditions if state else ():
        if condition.type == "ScalingActive" and condition.status == "True":
            return Verdict(
                Truth.TRUE, Reason.SCALING, "the autoscaler controls the replica count; spec.replicas is ignored"
            )
        if condition.type == "ScalingActive":
            return Verdict(Truth.FALSE, condition.reason or Reason.SCALING_NOT_READY, condition.message)
    return Verdict(Truth.UNKNOWN, Reason.SCALING_NOT_READY, "the autoscaler has not reported yet")


def _runtime_vulnerable(assessment: Assessment) -> Verdict:
    revision = assessment.revision
    if revision is None:
        return Verdict(Truth.UNKNOWN, Reason.WAITING, "no server image has been selected yet")
    if not revision.server_version:
        return Verdict(
            Truth.UNKNOWN,
            Reason.VERSION_UNKNOWN,
            f"the release of {revision.server_image} is unknown; set it in spec.triton.version",
        )
    found = vulnerability(parse(revision.server_version))
    if found:
        return Verdict(Truth.TRUE, Reason.BELOW_SECURITY_FLOOR, found.message)
    return Verdict(Truth.FALSE, Reason.PATCHED, f"release {revision.server_version} has no known vulnerability")
