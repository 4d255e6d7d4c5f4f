"""Merges `spec.podTemplate` into the rendered pod template, as a strategic merge patch of Kubernetes does.

Pure. Maps are merged, entries of some lists are identified by a field, entries of others are added, and other values
are replaced. What happens to a list depends on its place in the pod, not on its name alone. Containers that the
operator does not render get its security context, of which they may change what `pod_template` allows. The template
must have been checked with `pod_template` before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from triton_operator.api.pod_template import PodTemplate
from triton_operator.resources.isolation import LOCKED_DOWN
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.stored_form import stored_form


class _Place(NamedTuple):
    """How the members of an object are merged. `below` are the places of members, and of the entries of lists.

    A list in `keys` has entries that are identified by this field, and a list in `appended` has none: what is already
    there is not added again. Entries of a list in `below` are merged, other entries are replaced.
    """

    keys: Mapping[str, str] = {}
    appended: frozenset[str] = frozenset()
    below: Mapping[str, _Place] = {}


_PLAIN = _Place()
_CONTAINER = _Place(keys={"env": "name", "volumeMounts": "mountPath"})
_SECURITY = _Place(keys={"sysctls": "name"}, appended=frozenset({"supplementalGroups"}))
_POD = _Place(
    keys={
        "containers": "name",
        "initContainers": "name",
        "readinessGates": "conditionType",
        "resourceClaims": "name",
        "schedulingGates": "name",
        "volumes": "name",
    },
    appended=frozenset({"tolerations", "topologySpreadConstraints"}),
    below={"containers": _CONTAINER, "initContainers": _CONTAINER, "securityContext": _SECURITY},
)
_TEMPLATE = _Place(below={"spec": _POD})

_NO_GPUS: Manifest = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
"""Images with CUDA set this variable to `all`, and their containers would get every GPU of the node."""


def merge_template(rendered: Manifest, template: PodTemplate) -> Manifest:
    """The rendered pod template with the user's; an empty template changes nothing."""
    metadata: Manifest = {"labels": template.metadata.labels, "annotations": template.metadata.annotations}
    given = {name: values for name, values in metadata.items() if values}
    return _merge(rendered, {"metadata": given, "spec": stored_form(template.spec_without_nulls())}, _TEMPLATE)


def _merge(old: Manifest, new: Manifest, place: _Place) -> Manifest:
    return old | {name: _merge_member(name, old.get(name), value, place) for name, value in new.items()}


def _merge_member(name: str, old: Any, new: Any, place: _Place) -> Any:
    if isinstance(new, dict):
        return _merge(old if isinstance(old, dict) else {}, new, place.below.get(name, _PLAIN))
    if name in place.keys:
        return _merge_entries(place.keys[name], old or [], new, place.below.get(name))
    if name in place.appended:
        kept: list[Any] = list(old or [])
        return [*kept, *(entry for index, entry in enumerate(new) if entry not in [*kept, *new[:index]])]
    return new


def _merge_entries(key: str, old: list[Manifest], new: list[Manifest], place: _Place | None) -> list[Manifest]:
    """The entries in their order; those that only the template has come last. Those with a place are containers."""
    entries = {entry[key]: entry for entry in old}
    for entry in new:
        rendered = entries[entry[key]] if entry[key] in entries else _added_container(entry)
        entries[entry[key]] = _merge(rendered, entry, place) if place else entry
    return list(entries.values())


def _added_container(container: Manifest) -> Manifest:
    """What a container has that the operator does not render."""
    limits = container.get("resources", {}).get("limits", {})
    # The variable has no effect on devices that the kubelet assigns to resources with a domain in their name.
    return {"securityContext": LOCKED_DOWN, **({} if any("/" in name for name in limits) else {"env": [_NO_GPUS]})}
