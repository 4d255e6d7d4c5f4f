"""Where models come from: the kinds of source a model repository may have.

The schema documents each field; `spec` holds the structs, `resources` turns them into volumes.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ImageSource(Struct, frozen=True):
    """An OCI image whose file system holds the model repository."""

    reference: str
    pull_policy: PullPolicy | None = None
    path: str = "/"


class ClaimSource(Struct, frozen=True):
    """A PersistentVolumeClaim of the same namespace that holds the model repository."""

    claim_name: str
    path: str = "/"


class ModelRepository(Struct, frozen=True):
    """Where the models come from; exactly one member is set."""

    image: ImageSource | None = None
    pvc: ClaimSource | None = None
