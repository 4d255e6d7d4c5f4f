"""The cache for fetched models: `spec.cache`.

A Job of the operator fills a claim once, and serving pods mount the claim read-only. The schema documents each field.
`resources` builds the claim and the Job, and `reconcile` decides when to create them.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.resources import Resources
from triton_operator.api.struct import Struct


class AccessMode(StrEnum):
    """The access modes of Kubernetes: how many nodes may mount a volume."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"


class Egress(Struct, frozen=True):
    """Destinations that the Job may connect to under private profiles, in addition to the cluster's DNS."""

    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class Cache(Struct, frozen=True):
    """The claim to fill, and the Job that fills it; `size` is a Kubernetes quantity, `resources` apply to the Job."""

    size: str
    storage_class_name: str | None = None
    access_modes: tuple[AccessMode, ...] = ()
    resources: Resources = Resources()
    egress: Egress = Egress()
