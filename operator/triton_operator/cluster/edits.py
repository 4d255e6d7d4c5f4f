"""What other clients have changed in an object of the operator: paths of fields and field managers, never values.

Pure. Input: an object as the API server returns it, and the manifest, or the keys of `data`, that belong to the
operator. The API server records in managedFields who has set which field. Nobody owns a field that was removed, so
removed fields are found by a comparison with the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from triton_operator.api.names import MANAGER, SCALE_MANAGER

if TYPE_CHECKING:
    from triton_operator.cluster.protocol import Manifest

Path = tuple[str, ...]

_CONTENT = ("spec", "data", "binaryData", "immutable")
_COMPARED = (*_CONTENT, "metadata")
_IDENTITY = frozenset({"name", "namespace"})
_OURS = frozenset({MANAGER, SCALE_MANAGER})
_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")


class Edit(NamedTuple):
    """The changed fields, such as `spec.ingress` or `data[policy.json]`, and the managers that have set them.

    There are no managers if the fields were only removed, or if the client used the name of the operator.
    """

    fields: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()


def find_edit(body: bytes, manifest: Manifest, *, was_applied: bool) -> Edit:
    """The edit of a child; `was_applied`: the manifest is what the operator has applied, so differences are edits."""
    live = orjson.loads(body)
    owners = _foreign_owners(live)
    paths = set(owners)
    if was_applied:
        paths |= {path for path in _differences(manifest, live) if not _is_below(path, owners)}
    return _edit(paths, owners)


def find_edit_of_data(body: bytes, keys: Iterable[str]) -> Edit:
    """The edit of those entries of a shared object that have another owner or are missing."""
    live = orjson.loads(body)
    owners = _foreign_owners(live)
    paths = {("data", key) for key in keys}
    changed = {path for path in paths if path in owners or path[1] not in (live.get("data") or {})}
    return _edit(changed or paths, owners)


def _edit(paths: Iterable[Path], owners: dict[Path, set[str]]) -> Edit:
    found = sorted(paths)
    managers = {manager for path in found for manager in owners.get(path, ())}
    return Edit(tuple(map(_format, found)), tuple(sorted(managers)))


def _foreign_owners(live: Manifest) -> dict[Path, set[str]]:
    """The content that other managers own, other than through a subresource."""
    owners: dict[Path, set[str]] = {}
    for entry in live["metadata"].get("managedFields", ()):
        manager, fields = entry.get("manager", ""), entry.get("fieldsV1", {})
        if manager in _OURS or entry.get("subresource"):
            continue
        for name in _CONTENT:
            for path in _leaves(fields[f"f:{name}"], (name,)) if f"f:{name}" in fields else ():
                owners.setdefault(path, set()).add(manager)
    return owners


def _leaves(node: dict[str, Any], path: Path) -> Iterator[Path]:
    """The paths of the owned values; entries of lists are not distinguished."""
    fields = {key[2:]: below for key, below in node.items() if key.startswith("f:")}
    if not fields:
        yield path
    for name, below in fields.items():
        yield from _leaves(below, (*path, name))


def _differences(manifest: Manifest, live: Manifest) -> Iterator[Path]:
    """The fields of the manifest that the object does not have with the same value."""
    for name in _COMPARED:
        desired = manifest.get(name)
        if name == "metadata":
            desired = {key: value for key, value in manifest["metadata"].items() if key not in _IDENTITY}
        yield from _compare(desired, live.get(name), (name,))


def _compare(desired: Any, live: Any, path: Path) -> Iterator[Path]:
    if isinstance(desired, dict) and isinstance(live, dict):
        for key, value in desired.items():
            yield from _compare(value, live.get(key), (*path, key))
    elif not _includes(live, desired):
        yield path


def _includes(live: Any, desired: Any) -> bool:
    """Whether a live value is the desired one; the API server adds defaults, and omits empty values."""
    if not desired or not live:
        return bool(desired) == bool(live)
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(_includes(live.get(key), value) for key, value in desired.items())
    if isinstance(desired, list | tuple):
        return len(live) == len(desired) and all(map(_includes, live, desired))
    return bool(live == desired)


def _is_below(path: Path, owners: Iterable[Path]) -> bool:
    return any(path[: len(owned)] == owned for owned in owners)


def _format(path: Path) -> str:
    """As field paths in messages of the API server."""
    text = "".join(f".{name}" if _SIMPLE.fullmatch(name) else f"[{name}]" for name in path)
    return text.removeprefix(".")
