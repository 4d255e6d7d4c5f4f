"""What prevents the adoption of an object that has the name and the label of a child, but no living owner.

Pure. Input: the child's manifest, the object as the API server returns it, and what the API server would store if the
operator replaced its content. Output: the paths of what differs, never values. Compared is everything that the operator
reverts in its own children. What it leaves to others there (labels, annotations, replicas) may differ, because whoever
can create the object can also edit the adopted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from triton_operator.api.names import ANNOTATION_FILLED, GROUP, KIND, MANAGER
from triton_operator.cluster.observed import Kind

Object = dict[str, Any]

PREVIEWED = frozenset(Kind) - {Kind.CLAIM, Kind.JOB, Kind.REVISION}
"""Kinds whose content the operator can replace. That of the others is immutable."""

_CONTENT = frozenset({"spec", "data", "binaryData", "immutable"})
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata", "status", "revision"})
_CLAIM_FIELDS = ("accessModes", "volumeMode", "storageClassName")


def differences(manifest: Object, live: Object, previewed: Object | None = None) -> list[str]:
    """The paths; empty if the object can be adopted. `previewed` is None for kinds that are not PREVIEWED."""
    return [
        *_foreign_owners(manifest, live),
        *_missing_labels(manifest, live),
        *(_content(manifest, live, previewed) if previewed is not None else _immutable_content(manifest, live)),
    ]


def _foreign_owners(manifest: Object, live: Object) -> Iterator[str]:
    """Owners other than a ModelDeployment of the same name, of which only one can exist."""
    (ours,) = manifest["metadata"]["ownerReferences"]
    for owner in live["metadata"].get("ownerReferences") or ():
        is_namesake = owner.get("kind") == KIND and str(owner.get("apiVersion", "")).startswith(f"{GROUP}/")
        if not is_namesake or owner.get("name") != ours["name"]:
            yield f"metadata.ownerReferences[{owner.get('kind')} {owner.get('name')}]"


def _missing_labels(manifest: Object, live: Object) -> Iterator[str]:
    labels = live["metadata"].get("labels") or {}
    for key, value in manifest["metadata"]["labels"].items():
        if labels.get(key) != value:
            yield f"metadata.labels[{key}]"


def _content(manifest: Object, live: Object, previewed: Object) -> Iterator[str]:
    for key in sorted((manifest.keys() | _CONTENT) - _NOT_COMPARED):
        desired, stored = previewed.get(key), live.get(key)
        if manifest["kind"] == Kind.DEPLOYMENT and isinstance(desired, dict) and isinstance(stored, dict):
            desired, stored = _without_replicas(desired), _without_replicas(stored)
        yield from _compare(desired, stored, key)


def _without_replicas(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if key != "replicas"}


def _immutable_content(manifest: Object, live: Object) -> Iterator[str]:
    match manifest["kind"]:
        case Kind.REVISION:
            yield from _compare(orjson.loads(orjson.dumps(manifest["data"])), live.get("data"), "data")
        case Kind.CLAIM:
            spec = live.get("spec") or {}
            for key in _CLAIM_FIELDS:
                if key in manifest["spec"] and spec.get(key) != manifest["spec"][key]:
                    yield f"spec.{key}"
            if _is_marked_by_others(live):
                yield f"metadata.annotations[{ANNOTATION_FILLED}]"
        case _:  # A Job runs pods, and whether it has done its work cannot be proven.
            yield "spec"


def _is_marked_by_others(claim: Object) -> bool:
    """Whether an apply by the operator would leave the mark, so that content of unknown origin would be served."""
    if ANNOTATION_FILLED not in (claim["metadata"].get("annotations") or {}):
        return False
    owners = [
        entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
        for entry in claim["metadata"].get("managedFields") or ()
        if f"f:{ANNOTATION_FILLED}" in entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
    ]
    return not (owners and all(owners))


def _compare(desired: Any, stored: Any, path: str) -> Iterator[str]:
    if isinstance(desired, dict) and isinstance(stored, dict):
        for key in sorted(desired.keys() | stored.keys()):
            yield from _compare(desired.get(key), stored.get(key), _below(path, key))
    elif _are_named(desired) and _are_named(stored):
        theirs = {item["name"]: item for item in stored}
        ours = {item["name"]: item for item in desired}
        for name in sorted(ours.keys() | theirs.keys()):
            yield from _compare(ours.get(name), theirs.get(name), f"{path}[{name}]")
        if ours == theirs and desired != stored:
            yield path
    elif desired != stored:
        yield path


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key}]"


def _are_named(value: Any) -> bool:
    """Whether it is a list of objects with different names, such as containers."""
    if not (isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value)):
        return False
    return len({item["name"] for item in value}) == len(value)
