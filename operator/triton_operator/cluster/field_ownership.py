"""Digests of a manifest, and of the fields of a live object that the operator owns according to its managedFields.

Server-side apply changes nothing if the fields that the operator's Apply entry owns, with their live values, are
exactly those of the manifest. Then a restarted operator need not apply it
(docs/decisions/0017-managed-fields-after-a-restart.md). Pure. Both digests are derived from plain JSON in which an
empty, false or zero field equals one that the API server omits, and quantities are compared by value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from triton_operator.api.names import MANAGER, content_hash
from triton_operator.cluster.observed import Kind

if TYPE_CHECKING:
    from triton_operator.cluster.stored_objects import Owner, StoredChild, StoredMetadata

_WITH_QUANTITIES = frozenset({"requests", "limits", "emptyDir", "resourceFieldRef", "target", "scaleUp", "scaleDown"})
"""Fields whose members may be quantities."""
_LEAVES = frozenset({str, int, bool, float, type(None)})
_KEYED_LISTS = frozenset(
    {
        "claims",
        "env",
        "hostAliases",
        "imagePullSecrets",
        "initContainers",
        "ports",
        "resourceClaims",
        "schedulingGates",
        "topologySpreadConstraints",
        "volumeMounts",
        "volumes",
    }
)
"""Lists whose entries are owned separately, so an empty list has no owned entries."""
_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|[MGTPE]|[KMGTPE]i)?$")
_FACTORS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_FACTORS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_FACTORS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


class _FieldNode(NamedTuple):
    """A decoded node of a `fieldsV1`: fields of an object, entries of a list by their keys, and entries of a set.

    None is a node without any of them, whose value is owned as a whole.
    """

    fields: tuple[tuple[str, _FieldNode | None], ...]
    quantities: tuple[str, ...]
    """The fields that contain quantities."""
    entries: dict[tuple[str, ...], dict[tuple[Any, ...], _FieldNode | None]]
    """By the names of the keys, then by their values."""
    values: tuple[Any, ...]


_CONTAINERS = frozenset({"containers", "initContainers"})
"""Most of a manifest, and often equal in all Deployments. So what is derived from them is cached as JSON."""
_AROUND_CONTAINERS = frozenset({"template", "spec"})
_ABSENT = msgspec.Raw(b"null")
_MEMBERS = {
    "f:automountServiceAccountToken": "automount_service_account_token",
    "f:revision": "revision",
}
"""Fields of children besides spec, data and metadata."""
_SINGLE_OWNER = b'{"k:{\\"uid\\":\\"%b\\"}":{}}'
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def owned_digest(kind: Kind, stored: StoredChild) -> str:
    """Return the digest, 16 hexadecimal digits, of the live values of the fields that the operator owns.

    Return "" if it owns none, or if they cannot be decoded. Then only an apply can show whether the object differs.
    """
    for entry in stored.metadata.managed_fields:
        if entry.manager == MANAGER and entry.operation == "Apply" and not entry.subresource:
            try:
                return _digest(_owned_content(kind, stored, _decode_members(entry.fields)))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                return ""
    return ""


def manifest_digest(manifest: dict[str, Any]) -> str:
    """The digest of a manifest; it equals that of the object if and only if an apply would change nothing."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in {"name", "namespace"}}
    content = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind", "data"}}
    plain = _plain({**content, "metadata": metadata})
    return _digest({**plain, "data": manifest["data"]} if _has_data(manifest["kind"]) and "data" in manifest else plain)


def _has_data(kind: str) -> bool:
    """Whether the digests include `data`: that of a ControllerRevision is immutable, and its name is the digest."""
    return kind != Kind.REVISION


def _digest(content: Any) -> str:
    return content_hash(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), 16)


def _owned_content(kind: Kind, stored: StoredChild, fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, node in fields.items():
        if key == "f:metadata":
            content["metadata"] = _owned_metadata(stored.metadata, _decode_members(node))
        elif key == "f:spec" and kind is Kind.DEPLOYMENT:
            content["spec"] = _owned_members(stored.spec, node)
        elif key == "f:spec":
            content["spec"] = _owned(orjson.loads(bytes(stored.spec)), _read_shared_node(bytes(node)))
        elif key != "f:data":
            content[key[2:]] = getattr(stored, _MEMBERS[key]) or None
        elif _has_data(kind):
            content["data"] = _owned_data(orjson.loads(bytes(stored.data)), _read_shared_node(bytes(node)))
    return content


def _owned_members(value: msgspec.Raw, fields: msgspec.Raw) -> dict[str, Any]:
    """The owned part of a Deployment's spec, without decoding containers that are equal to those of another one."""
    members = _decode_members(value)
    owned: dict[str, Any] = {}
    for key, node in _decode_members(fields).items():
        name = key[2:]
        member = members.get(name, _ABSENT)
        if name in _AROUND_CONTAINERS and member is not _ABSENT:
            owned[name] = _owned_members(member, node)
        elif name in _CONTAINERS:
            owned[name] = _owned_containers(bytes(member), bytes(node))
        elif name:
            owned[name] = _owned(orjson.loads(bytes(member)), _read_shared_node(bytes(node)))
    return owned


@lru_cache(maxsize=256)
def _owned_containers(containers: bytes, node: bytes) -> orjson.Fragment:
    return _encoded(_owned(orjson.loads(containers), _read_node(node)))


@lru_cache(maxsize=256)
def _plain_containers(containers: bytes) -> orjson.Fragment:
    return _encoded(_plain(orjson.loads(containers)))


def _encoded(content: Any) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _owned_metadata(metadata: StoredMetadata, fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    owned: dict[str, Any] = {}
    for key, node in fields.items():
        if key == "f:ownerReferences":
            owned["ownerReferences"] = _owned_owners(metadata.owner_references, bytes(node))
        else:
            owned[key[2:]] = _owned(getattr(metadata, key[2:]), _read_shared_node(bytes(node)))
    return owned


def _owned_owners(owners: list[Owner], node: bytes) -> Any:
    """The owned part of `ownerReferences`; usually one entry, all of whose fields are owned.

    The node contains the uid of the owner, so it differs between objects and is not cached.
    """
    plain = msgspec.to_builtins(owners)
    if len(owners) == 1 and node == _SINGLE_OWNER % owners[0].uid.encode():
        return plain
    return _owned(plain, _read_node(node))


def _owned_data(value: Any, node: _FieldNode | None) -> Any:
    """The API server stores `data` unchanged, so it needs no normalization."""
    return value if node is None or value is None else {key: value.get(key) for key, _ in node.fields}


def _read_node(fields: bytes) -> _FieldNode | None:
    return _node(orjson.loads(fields))


_read_shared_node = lru_cache(maxsize=256)(_read_node)
"""Cached: most objects of a kind have the same fields, and decoding a node takes as long as decoding its value."""


def _node(fields: dict[str, Any]) -> _FieldNode | None:
    if not fields.keys() - {"."}:
        return None
    members = {key[2:]: _node(below) for key, below in fields.items() if key.startswith("f:")}
    entries: dict[tuple[str, ...], dict[tuple[Any, ...], _FieldNode | None]] = {}
    for key, below in fields.items():
        if key.startswith("k:"):
            keys = orjson.loads(key[2:])
            entries.setdefault(tuple(keys), {})[tuple(keys.values())] = _node(below)
    values = tuple(orjson.loads(key[2:]) for key in fields if key.startswith("v:"))
    return _FieldNode(tuple(members.items()), tuple(_WITH_QUANTITIES & members.keys()), entries, values)


def _owned(value: Any, node: _FieldNode | None) -> Any:
    """The part of a live value that `node` owns; an owned field may be absent."""
    if node is None:
        return _plain(value)
    kind = type(value)
    if kind is dict:
        owned = {}
        for key, below in node.fields:
            member = value.get(key)
            owned[key] = (member or None) if below is None and type(member) in _LEAVES else _owned(member, below)
        for key in node.quantities:
            owned[key] = _quantities(key, owned[key])
        return owned
    return _owned_entries(value, node) if kind is list else None


def _owned_entries(items: list[Any], node: _FieldNode) -> list[Any]:
    """The owned entries of a list with keys (`k:`) or of a set (`v:`), in their order."""
    found = []
    for item in items:
        if item in node.values:
            found.append(item)
        elif type(item) is dict:
            for names, nodes in node.entries.items():
                keys = tuple(map(item.get, names))
                if keys in nodes:
                    found.append(_owned(item, nodes[keys]))
    return found


def _plain(value: Any) -> Any:
    """A value in a form that does not depend on how the API server writes it.

    At startup, about a hundred members of every object are normalized. Most are leaves, so these are not passed to a
    recursive call.
    """
    kind = type(value)
    if kind is dict:
        plain: dict[str, Any] = {}
        for key, below in value.items():
            if not below:
                if key not in _KEYED_LISTS:
                    plain[key] = None
            elif type(below) in _LEAVES:
                plain[key] = below
            else:
                deeper = _plain_containers(orjson.dumps(below)) if key in _CONTAINERS else _plain(below)
                plain[key] = _quantities(key, deeper) if key in _WITH_QUANTITIES else deeper
        return plain or None
    if kind is list or kind is tuple:
        return [item or None if type(item) in _LEAVES else _plain(item) for item in value] or None
    return value or None


def _quantities(key: str, value: Any) -> Any:
    """The value of `key` with normalized quantities; the API server writes 1000m as 1."""
    if not isinstance(value, dict):
        return value
    if key == "emptyDir":
        return {**value, "sizeLimit": _amount(value["sizeLimit"])} if "sizeLimit" in value else value
    return {name: _amount(member) if type(member) in _LEAVES else member for name, member in value.items()}


@lru_cache(maxsize=1024, typed=True)
def _amount(quantity: str | float | None) -> str | float | None:
    found = _QUANTITY.match(str(quantity))
    return str((Decimal(found[1]) * _FACTORS[found[2] or ""]).normalize()) if found else quantity
