"""Whether a canary runs, and what the pods of the stable Deployment are meanwhile: `spec.rollout.canary`.

Pure. The revision label in the pod template of the stable Deployment shows what its pods are. As long as the spec
requests others and the canary is not promoted, everything but the canary is derived from the spec from which the stable
pods were rendered, as after a rollback. An aborted canary is a rollback of the revision that it tried.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from triton_operator.api.rollout import Canary, Strategy
from triton_operator.api.spec import Spec
from triton_operator.api.status import CanaryPhase, Rollback
from triton_operator.cluster.observed import DeploymentState
from triton_operator.reconcile.canary import (
    CanaryAction,
    CanaryDecision,
    CanaryProgress,
    canary_replicas,
    decide,
    decode,
    encode,
    tried_steps,
)
from triton_operator.reconcile.canary_health import describe_obstacle, judge_canary
from triton_operator.reconcile.history import find_template, newest_revision
from triton_operator.reconcile.messages import clip
from triton_operator.reconcile.observed_state import ObservedState, StandingCanary, StandingRollback
from triton_operator.reconcile.pods import is_ready
from triton_operator.resources.revision import Revision
from triton_operator.resources.revision_spec import with_pods_of, with_protection_of

_PHASES = {CanaryAction.WAIT: CanaryPhase.PROGRESSING, CanaryAction.ASK: CanaryPhase.PAUSED}

_UNKNOWN_PODS = "the revision of the current pods does not exist any more, so the operator cannot keep them"


class _Named(NamedTuple):
    """A revision and the name of its object."""

    name: str
    revision: Revision


def with_canary(observed: ObservedState) -> ObservedState:
    """The same state with its canary, and with the spec of the stable pods; call it after `with_rollback`."""
    state, canary = observed.deployment_state, _wanted(observed)
    if state is None or canary is None or state.replicas == 0:
        return observed
    stable, requested = _stable(observed, state), _requested(observed)
    if stable is None:
        return observed._replace(why_no_canary=_UNKNOWN_PODS if requested else "")
    if requested is None and stable.revision.is_rendered_from(observed.deployment.spec):
        return observed._replace(returning=stable.name)
    if requested and requested.revision.template_hash == stable.revision.template_hash:
        return _promoting(observed, state, stable)
    return _trying_if_kept(observed, canary, stable, requested) if _was_ready(observed, stable) else observed


def _wanted(observed: ObservedState) -> Canary | None:
    """The canary in the spec, None if it was aborted, or if no pod is to run."""
    spec = observed.deployment.spec
    canary = spec.rollout.canary if spec.rollout.strategy is Strategy.CANARY else None
    is_aborted = observed.rollback is not None and observed.rollback.is_of_spec
    return canary if canary and tried_steps(canary.steps) and not (is_aborted or spec.suspend) else None


def _stable(observed: ObservedState, state: DeploymentState) -> _Named | None:
    found = find_template(observed, state.template_revision)
    return _Named(*found) if found else None


def _requested(observed: ObservedState) -> _Named | None:
    """The revision of the spec, None if it is not rendered yet."""
    newest = newest_revision(observed)
    return _Named(*newest) if newest and newest[1].is_rendered_from(observed.deployment.spec) else None


def _was_ready(observed: ObservedState, stable: _Named) -> bool:
    """Otherwise there is nothing to compare the new revision with.

    A canary that is being promoted was ready, even if no stable pod has changed yet.
    """
    ready = any(is_ready(pod) and pod.revision == stable.revision.template_hash for pod in observed.serving_pods)
    return ready or (observed.status is not None and observed.status.last_ready_revision == stable.name)


def _spec_of(observed: ObservedState, stable: _Named) -> tuple[Spec | None, str]:
    """The spec with the pods of the stable revision, or why there cannot be one."""
    spec = observed.deployment.spec
    try:
        found = with_pods_of(spec, msgspec.convert(stable.revision.spec, Spec))
    except msgspec.ValidationError:
        return None, f"the revision {stable.name} has no spec that this version of the operator can read"
    if with_protection_of(found, spec) != found:
        return None, "fields that protect data have changed, so all pods have to change"
    if found.cache or not stable.revision.is_rendered_from(found):
        return None, f"the revision {stable.name} has a cache, or is of another version of the operator"
    return found, ""


def _promoting(observed: ObservedState, state: DeploymentState, stable: _Named) -> ObservedState:
    """The canary serves until all stable pods are of its revision."""
    live = observed.canary_state
    is_finished = (
        state.observed_generation >= state.generation
        and state.updated_replicas == state.current_replicas == state.ready_replicas == state.replicas
    )
    if live is None or is_finished or live.template_revision != stable.revision.template_hash:
        return observed
    progress = decode(live.canary)
    return observed._replace(
        canary=_standing(observed, CanaryPhase.PROMOTING, "", None, stable, progress)._replace(
            replicas=live.replicas, in_place=live.ready_replicas == live.replicas > 0
        )
    )


def _trying_if_kept(observed: ObservedState, canary: Canary, stable: _Named, requested: _Named | None) -> ObservedState:
    """With a canary, if the spec of the stable pods is known and allowed."""
    stable_spec, why_not = _spec_of(observed, stable)
    if stable_spec is None:
        return observed._replace(why_no_canary=why_not)
    return _trying(observed, canary, stable, stable_spec, requested)


def _trying(
    observed: ObservedState, canary: Canary, stable: _Named, stable_spec: Spec, requested: _Named | None
) -> ObservedState:
    spec, steps = observed.deployment.spec, tried_steps(canary.steps)
    live = observed.canary_state
    is_live = live is not None and requested is not None and live.template_revision == requested.revision.template_hash
    before = decode(live.canary) if live and is_live else CanaryProgress()
    decision = CanaryDecision(CanaryAction.WAIT, before)
    message = ""
    if is_live and requested:
        replicas = canary_replicas(_stable_replicas(observed), steps[min(before.step, len(steps) - 1)].weight)
        health = judge_canary(observed, spec, requested.revision.template_hash, replicas)
        decision = decide(before, steps, health, observed.now, resumed=_resumed(canary, requested))
        unready = [pod for pod in observed.canary_pods if not (is_ready(pod) or pod.deleting)]
        message = decision.message or describe_obstacle(observed, unready, spec)
    if spec.rollout.paused:
        decision = CanaryDecision(CanaryAction.ASK, before)
    if decision.what is CanaryAction.ABORT and requested:
        return _aborted(observed, stable, stable_spec, requested, decision.message)
    if decision.what is CanaryAction.PROMOTE and requested:
        standing = _standing(observed, CanaryPhase.PROMOTING, "", None, requested, decision.progress)
        return observed._replace(canary=standing._replace(in_place=True), due=observed.now)
    phase = _PHASES[decision.what]
    standing = _standing(observed, phase, stable.name, stable_spec, requested, decision.progress)
    if spec.rollout.paused and not is_live:
        standing = standing._replace(replicas=0)
    due = observed.now if is_live and decision.progress != before else decision.due
    return _with_spec(observed, stable_spec)._replace(
        canary=standing._replace(message=clip(message)), due=due, rollback=None
    )


def _aborted(observed: ObservedState, stable: _Named, stable_spec: Spec, requested: _Named, why: str) -> ObservedState:
    rollback = Rollback(requested.name, stable.name, clip(f"canary of revision {requested.name} aborted: {why}"))
    return _with_spec(observed, stable_spec)._replace(
        rollback=StandingRollback(rollback, is_of_spec=True, canary_failed=True), due=observed.now
    )


def _with_spec(observed: ObservedState, spec: Spec) -> ObservedState:
    deployment = msgspec.structs.replace(observed.deployment, spec=spec)
    return observed._replace(deployment=deployment, caching=None)


def _standing(
    observed: ObservedState,
    phase: CanaryPhase,
    stable: str,
    stable_spec: Spec | None,
    revision: _Named | None,
    progress: CanaryProgress,
) -> StandingCanary:
    spec = observed.deployment.spec
    steps = tried_steps(spec.rollout.canary.steps if spec.rollout.canary else ())
    weight = steps[min(progress.step, len(steps) - 1)].weight
    return StandingCanary(
        phase=phase,
        stable=stable,
        spec=spec if stable_spec else None,
        name=revision.name if revision else "",
        revision=revision.revision if revision else None,
        replicas=canary_replicas(_stable_replicas(observed), weight),
        step=progress.step,
        progress=encode(progress),
    )


def _stable_replicas(observed: ObservedState) -> int:
    state = observed.deployment_state
    return state.replicas if state else observed.deployment.spec.replicas


def _resumed(canary: Canary, requested: _Named) -> int | None:
    """The index of the step that a person has resumed; a value about another revision has no effect."""
    name, _, step = (canary.resumed or "").rpartition("/")
    return int(step) - 1 if name == requested.name and step.isascii() and step.isdigit() else None
