"""Revisions of one deployment: which is current, what number it has, and which old ones are kept for a rollback.

Pure; the contents come from ControllerRevisions among the observed children.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import msgspec

from triton_operator.cluster.observed import Child, ChildId, Kind, RevisionState
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pods import is_ready, revisions_of_pods
from triton_operator.resources.revision import Revision, RevisionSummary, decode_revision, summarize_revision
from triton_operator.resources.rollout import old_revisions


class PastRevision(NamedTuple):
    """A revision in the cluster."""

    name: str
    number: int
    summary: RevisionSummary


def current_revision(observed: ObservedState) -> Revision | None:
    """The newest revision in the cluster, or that of the stable pods after a rollback and next to or after a canary.

    Invalid content is skipped.
    """
    restored = observed.canary.stable if observed.canary else observed.returning
    restored = restored or (observed.rollback.state.restored_revision if observed.rollback else "")
    for child, state in _newest_first(observed):
        if restored and child.name != restored:
            continue
        try:
            return decode_revision(state.data)
        except msgspec.DecodeError:
            continue
    return None


def newest_revision(observed: ObservedState) -> tuple[str, Revision] | None:
    """The newest readable revision, and the name of its object."""
    for child, state in _newest_first(observed):
        with contextlib.suppress(msgspec.DecodeError):
            return child.name, decode_revision(state.data)
    return None


def find_revision(observed: ObservedState, name: str) -> Revision | None:
    """The revision in the object with this name, None if it does not exist or cannot be read."""
    for child, state in _newest_first(observed):
        if child.name == name:
            with contextlib.suppress(msgspec.DecodeError):
                return decode_revision(state.data)
    return None


def find_template(observed: ObservedState, template_hash: str) -> tuple[str, Revision] | None:
    """The newest revision with these pods, and the name of its object."""
    for child, state in _newest_first(observed):
        with contextlib.suppress(msgspec.DecodeError):
            if summarize_revision(state.data).template_hash == template_hash:
                return child.name, decode_revision(state.data)
    return None


def past_revisions(observed: ObservedState) -> list[PastRevision]:
    """Every readable revision, newest first."""
    found = []
    for child, state in _newest_first(observed):
        try:
            found.append(PastRevision(child.name, state.number, summarize_revision(state.data)))
        except msgspec.DecodeError:
            continue
    return found


def older_revisions(observed: ObservedState, current: Revision | None) -> tuple[Revision, ...]:
    """Revisions other than `current` that still have pods, newest first; an ending pod still completes requests."""
    hashes = revisions_of_pods(observed.pods) - {current.template_hash if current else ""}
    found: dict[str, Revision] = {}
    for _, state in _newest_first(observed) if hashes else ():
        with contextlib.suppress(msgspec.DecodeError):
            revision = decode_revision(state.data)
            if revision.template_hash in hashes:
                found.setdefault(revision.template_hash, revision)
    return tuple(found.values())


def revision_number(observed: ObservedState, revision: Revision, *, is_kept: bool = False) -> int:
    """The number of its ControllerRevision, or one more than the newest if it is not the newest yet.

    With `is_kept`, an older revision keeps its number, because the newest one is only rolled back.
    """
    found, name = _newest_first(observed), revision.object_name(observed.deployment.metadata.name)
    if not found:
        return observed.deployment.metadata.generation
    for child, state in found if is_kept else found[:1]:
        if child.name == name:
            return state.number
    return max(observed.deployment.metadata.generation, found[0][1].number + 1)


def reachable_revision(observed: ObservedState, current: RevisionSummary | None) -> RevisionSummary | None:
    """The revision that clients can reach: the current one, or an older one as long as only its pods are ready."""
    ready = {pod.revision for pod in observed.pods if is_ready(pod) and not pod.deleting}
    if current is None or not ready or current.template_hash in ready:
        return current
    past = (past.summary for past in past_revisions(observed))
    return next((summary for summary in past if summary.template_hash in ready), current)


def kept_for_rollback(observed: ObservedState, current: str) -> frozenset[ChildId]:
    """The newest revisions other than `current` (an object name), all with pods, and what these and `current` mount."""
    past, with_pods = past_revisions(observed), revisions_of_pods(observed.serving_pods)
    others = [revision for revision in past if revision.name != current]
    limit, needed = old_revisions(observed.deployment.spec), _needed_for_rollback(observed)
    kept = [
        each
        for place, each in enumerate(others)
        if place < limit or each.name in needed or each.summary.template_hash in with_pods
    ]
    mounting = [*kept, *(revision for revision in past if revision.name == current)]
    revisions = {(Kind.REVISION, revision.name) for revision in kept}
    configs = {(Kind.CONFIG_MAP, revision.summary.config_name) for revision in mounting}
    claims = {(Kind.CLAIM, revision.summary.claim_name) for revision in mounting if revision.summary.claim_name}
    return frozenset(revisions | configs | claims)


def _needed_for_rollback(observed: ObservedState) -> frozenset[str]:
    """The revisions that a rollback refers to, and the one to which the next may return."""
    needed = set()
    if observed.rollback:
        needed |= {observed.rollback.state.failed_revision, observed.rollback.state.restored_revision}
    if observed.deployment.spec.rollout.rollback_on_failure and observed.status:
        needed.add(observed.status.last_ready_revision)
    return frozenset(needed)


def _newest_first(observed: ObservedState) -> list[tuple[Child, RevisionState]]:
    found = [
        (child, child.state)
        for child in observed.children.values()
        # A revision that somebody else changed is never applied to pods; the plan replaces it.
        if isinstance(child.state, RevisionState) and not child.deleting and not child.has_foreign_fields
    ]
    return sorted(found, key=lambda pair: (pair[1].number, pair[0].name), reverse=True)
