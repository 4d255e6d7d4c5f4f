"""What to do about a deployment's children, as data with the reason of each step.

Pure: `make_plan` compares what is wanted with what is there and with what we applied last; `execute` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

from triton_operator.api.names import content_hash
from triton_operator.cluster.field_ownership import manifest_digest
from triton_operator.cluster.observed import KINDS, Child, DeploymentState, JobState, Kind
from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.store import ChildId


class Verb(StrEnum):
    """Kinds of step."""

    CREATE = "create"
    APPLY = "apply"
    REPLACE = "replace"
    HAND_OVER = "hand over"
    DELETE = "delete"


class Step(NamedTuple):
    """One write. `uid` names the very object, "" when there is none yet; `why` is for logs and tests."""

    verb: Verb
    kind: Kind
    name: str
    why: str
    uid: str = ""
    manifest: Manifest = {}  # noqa: RUF012 - never changed; a NamedTuple cannot use a factory


class Applied(NamedTuple):
    """What we applied last, and what the object looked like in the API server's answer."""

    uid: str
    wanted: str
    fingerprint: str


Memory = Mapping[ChildId, Applied]


def make_plan(wanted: Iterable[Manifest], owned: Mapping[ChildId, Child], applied: Memory) -> list[Step]:
    """Create what is missing, apply what differs, replace what has foreign parts; nothing for the rest."""
    steps = []
    for manifest in wanted:
        child_id = identity(manifest)
        step = _step_for(child_id, manifest, owned.get(child_id), applied.get(child_id))
        if step:
            steps.append(step)
    return steps


def recognize(wanted: Iterable[Manifest], owned: Mapping[ChildId, Child], applied: Memory) -> dict[ChildId, Applied]:
    """Children that this process has not applied, but that are what an apply would make of them."""
    found = {}
    for manifest in wanted:
        child_id = identity(manifest)
        child, known = owned.get(child_id), applied.get(child_id)
        if child is None or not child.owned or (known and known.uid == child.uid):
            continue
        if child.owned == manifest_digest(manifest):
            found[child_id] = Applied(child.uid, digest(manifest), child.fingerprint)
    return found


def is_as_applied(owned: Mapping[ChildId, Child], applied: Memory) -> bool:
    """Whether every child is what our last apply made of it."""
    return all(
        child_id in applied
        and (applied[child_id].uid, applied[child_id].fingerprint) == (child.uid, child.fingerprint)
        and not (child.foreign or child.deleting)
        for child_id, child in owned.items()
    )


def superfluous(wanted: Iterable[Manifest], owned: Mapping[ChildId, Child]) -> list[Child]:
    """Our children that are not wanted."""
    needed = {identity(manifest) for manifest in wanted}
    return [child for child_id, child in sorted(owned.items()) if child_id not in needed and not child.deleting]


def plan_pruning(wanted: Iterable[Manifest], owned: Mapping[ChildId, Child], kept: frozenset[ChildId]) -> list[Step]:
    """Delete our children that are neither wanted nor to be kept for a rollback."""
    return [
        Step(Verb.DELETE, child.kind, child.name, "no longer wanted", child.uid)
        for child in superfluous(wanted, owned)
        if (child.kind, child.name) not in kept
    ]


def transfer_replicas_step(child: Child, replicas: int) -> Step:
    """Give the replica count to the second field manager, see `replicas`."""
    manifest = {
        "apiVersion": "apps/v1",
        "kind": child.kind.value,
        "metadata": {"name": child.name, "namespace": child.namespace},
        "spec": {"replicas": replicas},
    }
    return Step(Verb.HAND_OVER, child.kind, child.name, f"autoscaler takes over at {replicas}", child.uid, manifest)


def identity(manifest: Manifest) -> ChildId:
    """Kind and name of a manifest."""
    return KINDS[manifest["kind"]], manifest["metadata"]["name"]


def digest(manifest: Manifest) -> str:
    """Hash of a manifest. Sorted, because a revision comes back from the API server with its keys in another order."""
    return content_hash(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS), 16)


def _step_for(child_id: ChildId, manifest: Manifest, child: Child | None, applied: Applied | None) -> Step | None:
    kind, name = child_id
    if child is None:
        return Step(Verb.CREATE, kind, name, "missing", manifest=manifest)
    if child.deleting:
        return None  # Its DELETED event brings us back.
    if isinstance(child.state, JobState) and child.state.labelled:
        return None  # A Job cannot be changed: it is left as it is, or not wanted.
    if child.foreign:
        return Step(Verb.REPLACE, kind, name, "has foreign parts", child.uid, manifest)
    why = _difference(manifest, child, applied)
    return Step(Verb.APPLY, kind, name, why, child.uid, manifest) if why else None


def _difference(manifest: Manifest, child: Child, applied: Applied | None) -> str:
    if applied is None or applied.uid != child.uid:
        return "not applied since start"
    if applied.wanted != digest(manifest):
        return "wanted otherwise"
    if applied.fingerprint != child.fingerprint:
        return "changed by another hand"
    replicas = manifest.get("spec", {}).get("replicas")
    if isinstance(child.state, DeploymentState) and replicas is not None and child.state.replicas != replicas:
        return "replicas changed by another hand"
    return ""
