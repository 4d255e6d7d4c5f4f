"""What of an object in the cluster is ours by its managedFields, comparable with the manifest that would be applied.

Server-side apply changes nothing when the fields that our Apply entry owns, with their live values, are exactly those
of the manifest. Then a restarted operator need not apply it
(docs/decisions/0017-a-restart-asks-who-owns-the-fields.md). Pure; both digests are made of plain JSON in which a field
that is empty, false or zero counts like one that the API server has left out, and quantities count by their value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from triton_operator.api.names import MANAGER, content_hash

_WITH_QUANTITIES = frozenset({"requests", "limits", "sizeLimit"})
_LEAVES = frozenset({str, int, bool, float, type(None)})
_KEYED_LISTS = frozenset(
    {"env", "imagePullSecrets", "initContainers", "ports", "topologySpreadConstraints", "volumeMounts", "volumes"}
)
"""Lists that are owned by entry: when one is empty, nothing of it is owned."""
_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|[MGTPE]|[KMGTPE]i)?$")
_FACTORS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_FACTORS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_FACTORS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def owned_digest(body: bytes | msgspec.Raw) -> str:
    """16 hexadecimal digits over what our applies own of an object, with its live values.

    "" when they own nothing, and for an object that cannot be read: then an apply has to find out.
    """
    try:
        live = orjson.loads(bytes(body))
        for entry in live["metadata"].get("managedFields", ()):
            if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
                return _digest(_owned(live, entry.get("fieldsV1", {})))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    return ""


def manifest_digest(manifest: dict[str, Any]) -> str:
    """The same over a manifest: equal to that of the object exactly when an apply would change nothing."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in {"name", "namespace"}}
    content = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind"}}
    return _digest(_plain({**content, "metadata": metadata}))


def _digest(content: Any) -> str:
    return content_hash(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), 16)


def _owned(value: Any, fields: dict[str, Any]) -> Any:
    """The part of a live value that `fields`, a node of a `fieldsV1`, names; an owned field may be left out in it."""
    if not fields.keys() - {"."}:
        return _plain(value)
    if isinstance(value, dict):
        named = {key.removeprefix("f:"): below for key, below in fields.items() if key != "."}
        return {key: _owned_member(key, value.get(key), below) for key, below in named.items()}
    if isinstance(value, list):
        return _owned_items(value, fields)
    return None


def _owned_member(key: str, value: Any, fields: dict[str, Any]) -> Any:
    if not fields:
        return _member(key, value)
    owned = _owned(value, fields)
    return _quantities(key, owned) if key in _WITH_QUANTITIES else owned


def _owned_items(items: list[Any], fields: dict[str, Any]) -> list[Any]:
    """Of a list whose entries have keys (`k:`) or are a set (`v:`), those entries that are owned, in their order."""
    keyed = [(orjson.loads(key[2:]), below) for key, below in fields.items() if key.startswith("k:")]
    values = [orjson.loads(key[2:]) for key in fields if key.startswith("v:")]
    found = []
    for item in items:
        if item in values:
            found.append(item)
        elif isinstance(item, dict):
            found += [_owned(item, below) for key, below in keyed if key.items() <= item.items()]
    return found


def _plain(value: Any) -> Any:
    """A value in which nothing depends on how the API server writes it."""
    kind = type(value)
    if kind is dict:
        return {key: _member(key, below) for key, below in value.items() if below or key not in _KEYED_LISTS} or None
    if kind is list or kind is tuple:
        return [item or None if type(item) in _LEAVES else _plain(item) for item in value] or None
    return value or None


def _member(key: str, value: Any) -> Any:
    """The plain value of a field. Most are leaves, and a start reads some hundred fields of every object."""
    plain = value or None if type(value) in _LEAVES else _plain(value)
    return _quantities(key, plain) if key in _WITH_QUANTITIES else plain


def _quantities(key: str, value: Any) -> Any:
    """`value` under `key`, with quantities by their amount: the API server writes 1000m as 1."""
    if key == "sizeLimit":
        return _amount(value)
    if isinstance(value, dict):
        return {name: _amount(quantity) for name, quantity in value.items()}
    return value


def _amount(quantity: Any) -> Any:
    found = _QUANTITY.match(str(quantity))
    return str((Decimal(found[1]) * _FACTORS[found[2] or ""]).normalize()) if found else quantity
