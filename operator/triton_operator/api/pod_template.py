"""`spec.podTemplate`: what a user adds to the serving pods.

`spec` has the form of a Kubernetes PodSpec and stays plain data, because `resources.strategic_merge` merges it into the
rendered pod. `resources.pod_template` checks it against the types in `pod_parts` first.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.struct import Struct

MOST_BYTES = 32 * 1024
"""Limit for the JSON of `spec.podTemplate.spec`; a pod with three sidecars has 5 KB. Each revision stores a copy."""
MOST_LEVELS = 16
"""Limit for nested objects and lists; a PodSpec needs at most 12, in the selector of an ephemeral volume."""


class PodTemplateMetadata(Struct, frozen=True):
    """Labels and annotations that are added to those of the operator."""

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class PodTemplate(Struct, frozen=True):
    """The part of a PodTemplateSpec that is merged into the rendered one."""

    metadata: PodTemplateMetadata = PodTemplateMetadata()
    spec: dict[str, Any] = msgspec.field(default_factory=dict)

    def spec_without_nulls(self) -> dict[str, Any]:
        """`spec` without members that are null: they mean "not set", and never remove what the operator sets."""
        return {name: _without_nulls(value) for name, value in self.spec.items() if value is not None}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
