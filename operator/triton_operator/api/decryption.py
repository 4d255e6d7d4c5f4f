"""The key of encrypted models: `spec.decryption`.

The schema documents each field. Only the kubelet reads the Secret: it mounts it into `prepare`, which decrypts the
models into memory.
"""

from __future__ import annotations

from triton_operator.api.struct import Struct


class KeysetRef(Struct, frozen=True):
    """A key of a Secret in the deployment's namespace that contains a keyset of `tritonctl encrypt`."""

    name: str
    key: str = "keyset.json"


class Decryption(Struct, frozen=True):
    """`memory` is the size of the volume in memory for the plaintext of all models, a Kubernetes quantity."""

    secret_ref: KeysetRef
    memory: str
