"""Brings `spec.podTemplate.spec` into the form in which the API server stores it.

Pure. Input: a checked template. Output: the same template. If the operator applied another form, an operator that
restarts would apply the Deployment again (docs/decisions/0017-managed-fields-after-a-restart.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from triton_operator.api.field_check import fields_of, struct_of
from triton_operator.api.pod_parts import (
    ContainerParts,
    ContainerPort,
    ContainerResourceSelector,
    HTTPGetAction,
    ImageVolume,
    PodFieldSelector,
    PodParts,
    Probe,
    ResourceRequirements,
)
from triton_operator.resources.metadata import Manifest


def stored_form(value: Any, kind: Any = PodParts) -> Any:
    """A value of this type; what has no type in `pod_parts`, such as labels, stays as it is."""
    struct, many = struct_of(kind)
    if struct is None:
        return value
    if many:
        return [stored_form(item, struct) for item in value]
    known, defaulted = fields_of(struct), _DEFAULTED.get(struct, frozenset())
    given = {name: member for name, member in value.items() if member not in ("", 0) or name not in defaulted}
    members = {name: stored_form(member, known.get(name)) for name, member in given.items()}
    return _COMPLETED[struct](members) if struct in _COMPLETED else members


def _with_version(selector: Manifest) -> Manifest:
    return {"apiVersion": "v1", **selector}


def _with_divisor(selector: Manifest) -> Manifest:
    return {**selector, "divisor": str(selector.get("divisor", "0"))}


def _with_texts(resources: Manifest) -> Manifest:
    """Quantities as text: 0.5 is valid in a file, but a revision has no fractions."""
    kinds = {"requests", "limits"} & resources.keys()
    texts = {kind: {name: str(value) for name, value in resources[kind].items()} for kind in kinds}
    return {**resources, **texts}


_DEFAULTED: dict[type, frozenset[str]] = {
    ContainerParts: frozenset({"imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy"}),
    ContainerPort: frozenset({"protocol"}),
    PodFieldSelector: frozenset({"apiVersion"}),
    HTTPGetAction: frozenset({"path", "scheme"}),
    ImageVolume: frozenset({"pullPolicy"}),
    PodParts: frozenset({"dnsPolicy", "schedulerName"}),
    Probe: frozenset({"failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds"}),
    ContainerResourceSelector: frozenset({"divisor"}),
}
"""Fields whose empty value, "" or 0, the API server replaces by its default, as if they were null."""

_COMPLETED: dict[type, Callable[[Manifest], Manifest]] = {
    PodFieldSelector: _with_version,
    ContainerResourceSelector: _with_divisor,
    ResourceRequirements: _with_texts,
}
"""What the API server adds to the values of a type."""
