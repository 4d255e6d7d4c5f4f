"""What to write so that a deployment's children become as desired: data, with the reason of each write.

Pure. `make_plan` compares the desired state with the observed one and with what was applied last; `execute` carries the
plan out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

from triton_operator.api.names import content_hash
from triton_operator.cluster.field_ownership import manifest_digest
from triton_operator.cluster.observed import KINDS, Child, ChildId, DeploymentState, JobState, Kind
from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.caching import policies_of_jobs
from triton_operator.reconcile.desired_state import DesiredState
from triton_operator.reconcile.history import kept_for_rollback
from triton_operator.reconcile.memory import Applied
from triton_operator.reconcile.observed_state import ObservedState

CHANGED = "changed by somebody else"
FOREIGN_FIELDS = "has fields of another manager"
FROZEN = "made immutable by somebody else"
"""Reasons of writes that undo an edit."""


class Verb(StrEnum):
    """Kinds of writes."""

    CREATE = "create"
    ADOPT = "adopt"
    APPLY = "apply"
    REPLACE = "replace"
    RECREATE = "delete and create"
    TRANSFER_REPLICAS = "transfer the replicas of"
    DELETE = "delete"


class Action(NamedTuple):
    """One write. `uid` names the existing object, "" if there is none yet; `why` is for logs.

    `resource_version` is the only version of the object that may be adopted.
    """

    verb: Verb
    kind: Kind
    name: str
    why: str
    uid: str = ""
    manifest: Manifest = {}  # noqa: RUF012 - never changed; a NamedTuple cannot use a factory
    resource_version: str = ""


class Plan(NamedTuple):
    """Writes in their order, and the deletions that follow when all of them have succeeded."""

    writes: list[Action]
    pruning: list[Action]


AppliedChildren = Mapping[ChildId, Applied]


def make_plan(
    desired: DesiredState,
    observed: ObservedState,
    applied: AppliedChildren,
    recognized: Container[ChildId] = frozenset(),
) -> Plan:
    """Create what is missing, apply what differs, replace what has foreign fields; delete what is not desired.

    `recognized` are children that need no comparison with what was applied, see `recognize`.
    """
    writes = []
    for manifest in desired.manifests:
        child_id = identity(manifest)
        child, known = observed.children.get(child_id), applied.get(child_id)
        action = _plan_write(child_id, manifest, child, known, is_recognized=child_id in recognized)
        if action:
            writes.append(action)
    return Plan(_transfer_replicas(desired, observed) + writes, _plan_pruning(desired, observed))


def recognize(
    manifests: Iterable[Manifest], children: Mapping[ChildId, Child], applied: AppliedChildren
) -> dict[ChildId, Applied]:
    """Children that this process has not applied, but that an apply would not change."""
    found = {}
    for manifest in manifests:
        child_id = identity(manifest)
        child, known = children.get(child_id), applied.get(child_id)
        if child is None or not child.owned or (known and known.uid == child.uid):
            continue
        if child.owned == manifest_digest(manifest):
            found[child_id] = Applied(child.uid, "", child.fingerprint, child.owned)
    return found


def is_as_desired(desired: DesiredState, observed: ObservedState, applied: AppliedChildren) -> bool:
    """Whether every desired child is what the last apply made of it, and no other child is to be deleted."""
    state = observed.deployment_state
    return (
        all(_is_as_applied(child_id, observed, applied) for child_id in map(identity, desired.manifests))
        and not _plan_pruning(desired, observed)
        and state is not None
        and desired.replicas.transfer is None
        and desired.replicas.apply in {None, state.replicas}
    )


def identity(manifest: Manifest) -> ChildId:
    """Kind and name of a manifest."""
    return KINDS[manifest["kind"]], manifest["metadata"]["name"]


def digest(manifest: Manifest) -> str:
    """Hash of a manifest. Sorted, because a revision comes back from the API server with its keys in another order."""
    return content_hash(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS), 16)


def _is_as_applied(child_id: ChildId, observed: ObservedState, applied: AppliedChildren) -> bool:
    child, known = observed.children.get(child_id), applied.get(child_id)
    return (
        child is not None
        and known is not None
        and (known.uid, known.fingerprint) == (child.uid, child.fingerprint)
        and not (child.has_foreign_fields or child.is_frozen or child.deleting)
    )


def _transfer_replicas(desired: DesiredState, observed: ObservedState) -> list[Action]:
    """Give the replica count to the second field manager, see `replicas`."""
    child, replicas = observed.deployment_child, desired.replicas.transfer
    if child is None or child.deleting or replicas is None:
        return []
    manifest = {
        "apiVersion": "apps/v1",
        "kind": child.kind.value,
        "metadata": {"name": child.name, "namespace": child.namespace},
        "spec": {"replicas": replicas},
    }
    why = f"the autoscaler takes over at {replicas}"
    return [Action(Verb.TRANSFER_REPLICAS, child.kind, child.name, why, child.uid, manifest)]


def _plan_write(
    child_id: ChildId, manifest: Manifest, child: Child | None, applied: Applied | None, *, is_recognized: bool
) -> Action | None:
    kind, name = child_id
    if child is None:
        return Action(Verb.CREATE, kind, name, "missing", manifest=manifest)
    if child.deleting:
        return None  # Its DELETED event starts the next pass.
    if isinstance(child.state, JobState) and child.state.labelled:
        return None  # A Job cannot be changed; one that must not stay is not desired, and is deleted.
    if child.is_frozen:
        return Action(Verb.RECREATE, kind, name, FROZEN, child.uid, manifest)
    if child.has_foreign_fields:
        return Action(Verb.REPLACE, kind, name, FOREIGN_FIELDS, child.uid, manifest)
    why = "" if is_recognized else _difference(manifest, child, applied)
    why = why or _difference_in_replicas(manifest, child)
    return Action(Verb.APPLY, kind, name, why, child.uid, manifest) if why else None


def _difference(manifest: Manifest, child: Child, applied: Applied | None) -> str:
    if applied is None or applied.uid != child.uid:
        return "not applied since the operator started"
    if not _is_manifest_of(applied, manifest):
        return "the desired content has changed"
    if applied.fingerprint != child.fingerprint:
        return CHANGED
    return ""


def _is_manifest_of(applied: Applied, manifest: Manifest) -> bool:
    return applied.owned == manifest_digest(manifest) if applied.owned else applied.digest == digest(manifest)


def _difference_in_replicas(manifest: Manifest, child: Child) -> str:
    replicas = manifest.get("spec", {}).get("replicas")
    if isinstance(child.state, DeploymentState) and replicas is not None and child.state.replicas != replicas:
        return "replicas changed by somebody else"
    return ""


def _plan_pruning(desired: DesiredState, observed: ObservedState) -> list[Action]:
    """Delete children that are neither desired nor kept for a rollback."""
    if desired.spec_error:
        return []
    # In the order of the manifests, because the revision of the stable pods is the first one.
    ids = dict.fromkeys(identity(manifest) for manifest in desired.manifests)
    superfluous = [child for child_id, child in observed.children.items() if child_id not in ids and not child.deleting]
    if not superfluous:
        return []
    current = next((name for kind, name in ids if kind is Kind.REVISION), "")
    kept = kept_for_rollback(observed, current) | policies_of_jobs(observed.children)
    return [
        Action(Verb.DELETE, child.kind, child.name, "no longer desired", child.uid)
        for child in sorted(superfluous, key=lambda child: (child.kind, child.name))
        if (child.kind, child.name) not in kept
    ]
