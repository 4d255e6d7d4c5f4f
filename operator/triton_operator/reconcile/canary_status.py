"""`status.rollout.canary`, and what Ready reports about a canary. Pure."""

from __future__ import annotations

from triton_operator.api.status import CanaryPhase, CanaryStatus
from triton_operator.reconcile.canary import share, tried_steps
from triton_operator.reconcile.canary_health import JUDGED
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState, StandingCanary
from triton_operator.reconcile.pods import is_ready


def derive_canary(observed: ObservedState) -> CanaryStatus | None:
    """The canary that runs, that was aborted, or that was not possible; None without one."""
    if observed.rollback and observed.rollback.canary_failed:
        failed = observed.rollback.state
        return CanaryStatus(CanaryPhase.ABORTED, failed.failed_revision, message=failed.message)
    if observed.why_no_canary:
        return CanaryStatus(
            CanaryPhase.SKIPPED, message=f"replacing all pods without a canary: {observed.why_no_canary}"
        )
    if observed.canary is None:
        return None
    canary = observed.canary
    return CanaryStatus(canary.phase, canary.name, canary.step + 1, _weight(observed), _describe(observed, canary))


def _weight(observed: ObservedState) -> int:
    """The actual share of the ready pods in percent."""
    stable, tried = (
        sum(is_ready(pod) and not pod.deleting for pod in pods) for pods in (observed.pods, observed.canary_pods)
    )
    return share(stable, tried)


def _describe(observed: ObservedState, canary: StandingCanary) -> str:
    if canary.phase is CanaryPhase.PROMOTING:
        return "all pods change to the revision of the canary, which serves meanwhile"
    spec = observed.deployment.spec
    steps = tried_steps(spec.rollout.canary.steps) if spec.rollout.canary else ()
    number = min(canary.step, len(steps) - 1)
    ready = sum(is_ready(pod) and not pod.deleting for pod in observed.canary_pods)
    about = (
        f"step {number + 1} of {len(steps)}: {ready} of {canary.replicas} pods of the canary ready; "
        f"{_weight(observed)}% of the pods for a weight of {steps[number].weight}%"
    )
    return join(about, canary.message, _how_to_continue(observed, canary), JUDGED)


def _how_to_continue(observed: ObservedState, canary: StandingCanary) -> str:
    if observed.deployment.spec.rollout.paused:
        return "spec.rollout.paused is set, so the canary stays as it is; set it to false to continue"
    if canary.phase is not CanaryPhase.PAUSED:
        return ""
    metadata = observed.deployment.metadata
    return f"to continue, run: tritonctl rollout resume {metadata.name} -n {metadata.namespace}"
