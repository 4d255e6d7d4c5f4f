"""Merges `spec.podTemplate` into the rendered pod template, as a strategic merge patch of Kubernetes does.

Pure. Maps are merged, entries of the lists in `_KEYS` are identified by a field, entries of the lists in `_APPENDED`
are added, and other values are replaced. Containers that the operator does not render get its security context, of
which they may change what `pod_template` allows. The template must have been checked with `pod_template` before.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.pod_template import PodTemplate
from triton_operator.resources.isolation import LOCKED_DOWN
from triton_operator.resources.metadata import Manifest

_CONTAINERS = frozenset({"containers", "initContainers"})
"""Lists whose entries are merged with the entry of the same name."""

_KEYS = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "readinessGates": "conditionType",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "sysctls": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The field that identifies an entry; an entry of the template replaces the entry with the same value."""

_APPENDED = frozenset({"supplementalGroups", "tolerations", "topologySpreadConstraints"})
"""Lists without such a field; entries that are already there are not added again."""


_DEFAULTS: dict[str, Manifest] = {"fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"}}
"""Without them, a restarted operator would apply the Deployment again (docs/decisions/0017)."""


def merge_template(rendered: Manifest, template: PodTemplate) -> Manifest:
    """The rendered pod template with the user's; an empty template changes nothing."""
    metadata: Manifest = {"labels": template.metadata.labels, "annotations": template.metadata.annotations}
    given = {name: values for name, values in metadata.items() if values}
    return _merge(rendered, {"metadata": given, "spec": _with_defaults(template.spec_without_nulls())})


def _with_defaults(value: Any) -> Any:
    """The value with what the API server would set in a selector, which server-side apply owns as a whole."""
    if isinstance(value, dict):
        members = {key: _with_defaults(member) for key, member in value.items()}
        selectors = {key: members[key] for key in _DEFAULTS if isinstance(members.get(key), dict)}
        return members | {key: _DEFAULTS[key] | selector for key, selector in selectors.items()}
    return [_with_defaults(item) for item in value] if isinstance(value, list) else value


def _merge(old: Manifest, new: Manifest) -> Manifest:
    return old | {name: _merge_value(name, old.get(name), value) for name, value in new.items()}


def _merge_value(name: str, old: Any, new: Any) -> Any:
    if isinstance(new, dict):
        return _merge(old if isinstance(old, dict) else {}, new)
    if isinstance(new, list) and name in _KEYS:
        return _merge_entries(name, old or [], new)
    if isinstance(new, list) and name in _APPENDED:
        kept: list[Any] = list(old or [])
        return [*kept, *(entry for index, entry in enumerate(new) if entry not in [*kept, *new[:index]])]
    return new


def _merge_entries(name: str, old: list[Manifest], new: list[Manifest]) -> list[Manifest]:
    """The entries in their order; those that only the template has come last."""
    key = _KEYS[name]
    entries = {entry[key]: entry for entry in old}
    for entry in new:
        merged = entry
        if name in _CONTAINERS:
            merged = _merge(entries.get(entry["name"], {"securityContext": LOCKED_DOWN}), entry)
        entries[entry[key]] = merged
    return list(entries.values())
