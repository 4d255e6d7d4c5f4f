"""Whether pods of an earlier revision are to serve, because the newest one failed: `spec.rollout.rollbackOnFailure`.

Pure. A rollout has failed if Kubernetes reports that it exceeded its deadline. Annotations of the Deployment, which are
written together with its pod template, are the memory of a rollback, so it survives restarts of the operator and does
not alternate. It lasts until the spec requests other pods. Meanwhile everything is derived from the spec from which
these pods were rendered, so that what they need remains: caches, certificates, accounts, and permitted destinations.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from triton_operator.api.conditions import READY
from triton_operator.api.rollout import Strategy
from triton_operator.api.spec import Spec
from triton_operator.api.status import Rollback, Truth
from triton_operator.reconcile.caching import decide_caching
from triton_operator.reconcile.history import find_revision, newest_revision, past_revisions
from triton_operator.reconcile.messages import clip
from triton_operator.reconcile.observed_state import ObservedState, StandingRollback
from triton_operator.reconcile.pods import is_over, is_ready
from triton_operator.resources.revision import Revision
from triton_operator.resources.revision_spec import with_pods_of, with_protection_of
from triton_operator.resources.rollout import progress_deadline_seconds

_TIMED_OUT = "ProgressDeadlineExceeded"
_REPLICA_SET = re.compile(r'ReplicaSet "(?P<name>[^"]+)"')
_POD_TEMPLATE_HASH = "pod-template-hash"


class _Decision(NamedTuple):
    """The rollback and the spec of its pods, or why there is none although the newest revision failed."""

    rollback: StandingRollback | None = None
    spec: Spec | None = None
    why_not: str = ""


def with_rollback(observed: ObservedState) -> ObservedState:
    """The same state, with the spec of the pods that are to serve."""
    decision = _decide(observed)
    if decision.rollback is None or decision.spec is None:
        return observed._replace(rollback=decision.rollback, why_no_rollback=decision.why_not)
    deployment = msgspec.structs.replace(observed.deployment, spec=decision.spec)
    caching = decide_caching(deployment, observed.children, observed.now, observed.fetching)
    return observed._replace(deployment=deployment, caching=caching, rollback=decision.rollback)


def _decide(observed: ObservedState) -> _Decision:
    state, rollout = observed.deployment_state, observed.deployment.spec.rollout
    if state is None or not (rollout.rollback_on_failure or state.failed_revision):
        return _Decision()
    newest = newest_revision(observed)
    if newest is None:
        return _Decision()
    name, revision = newest
    is_of_spec = revision.is_rendered_from(observed.deployment.spec)
    if state.failed_revision == name:
        return _continue(observed, Rollback(name, state.restored_revision), is_of_spec=is_of_spec)
    if rollout.rollback_on_failure and is_of_spec and not rollout.paused and _has_failed(observed, revision):
        return _begin(observed, name)
    return _Decision()


def _continue(observed: ObservedState, rollback: Rollback, *, is_of_spec: bool) -> _Decision:
    """A rollback in the cluster ends if the user no longer wants one, or if its pods cannot be applied any more."""
    if is_of_spec:
        if not _is_wanted(observed):
            return _Decision()
        return _return_to(observed, rollback)
    if find_revision(observed, rollback.restored_revision) is None:
        return _Decision()
    return _Decision(StandingRollback(_described(observed, rollback), is_of_spec=False))


def _is_wanted(observed: ObservedState) -> bool:
    rollout, state = observed.deployment.spec.rollout, observed.deployment_state
    canary_failed = state is not None and state.canary_failure
    return rollout.strategy is Strategy.CANARY if canary_failed else rollout.rollback_on_failure


def _begin(observed: ObservedState, failed: str) -> _Decision:
    restored = _last_ready(observed, failed)
    if not restored:
        return _Decision(why_not="no other revision has been Ready, so there is none to return to")
    return _return_to(observed, Rollback(failed, restored))


def _return_to(observed: ObservedState, rollback: Rollback) -> _Decision:
    """The restored revision must render from its own spec, and protect data as the current spec requests."""
    revision, name = find_revision(observed, rollback.restored_revision), rollback.restored_revision
    if revision is None:
        return _Decision(why_not=f"the revision {name} does not exist any more")
    spec = observed.deployment.spec
    try:
        restored = with_pods_of(spec, msgspec.convert(revision.spec, Spec))
    except msgspec.ValidationError:
        return _Decision(why_not=f"the revision {name}, of another version of the operator, has no spec to return to")
    if with_protection_of(restored, spec) != restored or not revision.is_rendered_from(restored):
        return _Decision(
            why_not=f"the revision {name} has different values of fields that protect data; to see them, run: "
            f"tritonctl rollout undo {observed.deployment.metadata.name} --dry-run"
        )
    state = observed.deployment_state
    canary_failed = state is not None and state.failed_revision == rollback.failed_revision and state.canary_failure
    standing = StandingRollback(_described(observed, rollback), is_of_spec=True, canary_failed=bool(canary_failed))
    return _Decision(standing, restored)


def _has_failed(observed: ObservedState, newest: Revision) -> bool:
    """Whether the deadline of the newest revision has passed.

    Kubernetes keeps the condition of an earlier rollout until the next one makes progress, so the ReplicaSet in its
    message counts.
    """
    state = observed.deployment_state
    if state is None or state.observed_generation < state.generation:
        return False
    late = next((each for each in state.conditions if each.type == "Progressing" and each.reason == _TIMED_OUT), None)
    if late is None:
        return False
    found = _REPLICA_SET.search(late.message)
    named = found["name"].rpartition("-")[2] if found else ""
    pods = [pod for pod in observed.pods if not is_over(pod) and _POD_TEMPLATE_HASH in pod.labels]
    own = {pod.labels[_POD_TEMPLATE_HASH] for pod in pods if pod.revision == newest.template_hash}
    others = {pod.labels[_POD_TEMPLATE_HASH] for pod in pods if pod.revision != newest.template_hash}
    return named in own if own and named else named not in others


def _last_ready(observed: ObservedState, failed: str) -> str:
    """The revision that was Ready last; a restored object has no status, but its pods may be ready."""
    known = observed.status.last_ready_revision if observed.status else ""
    if known and known != failed and find_revision(observed, known):
        return known
    ready = {pod.revision for pod in observed.pods if is_ready(pod) and not pod.deleting}
    past = (each for each in past_revisions(observed) if each.name != failed)
    return next((each.name for each in past if each.summary.template_hash in ready), "")


def _described(observed: ObservedState, rollback: Rollback) -> Rollback:
    """With the cause, as it was reported when the rollback began."""
    status, state = observed.status, observed.deployment_state
    if state and state.canary_failure and state.failed_revision == rollback.failed_revision:
        return msgspec.structs.replace(rollback, message=clip(state.canary_failure))
    known = status.rollout.rollback if status and status.rollout else None
    if known and msgspec.structs.replace(known, message="") == rollback:
        return known
    ready = next((each for each in status.conditions if each.type == READY), None) if status else None
    cause = f": {ready.reason}: {ready.message}" if ready and ready.status is Truth.FALSE else ""
    seconds = progress_deadline_seconds(observed.deployment.spec)
    message = f"revision {rollback.failed_revision} made no progress for {seconds} s{cause}"
    return msgspec.structs.replace(rollback, message=clip(message))
