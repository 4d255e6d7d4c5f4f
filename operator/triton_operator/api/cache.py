"""The cache for fetched models: `spec.cache`.

A Job of the operator's fills a claim once, serving pods mount it read-only. The schema documents each field; what the
claim and the Job look like is decided in `resources`, when they are made in `reconcile`.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.resources import Resources
from triton_operator.api.struct import Struct


class AccessMode(StrEnum):
    """How many nodes may mount a volume, as Kubernetes names it."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"


class Egress(Struct, frozen=True):
    """Where the Job may open connections to under profile Private, besides the cluster's DNS."""

    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class Cache(Struct, frozen=True):
    """The claim to fill, and the Job that fills it; `size` is a Kubernetes quantity, `resources` are the Job's."""

    size: str
    storage_class_name: str | None = None
    access_modes: tuple[AccessMode, ...] = ()
    resources: Resources = Resources()
    egress: Egress = Egress()
