"""The volume in memory for decrypted models, and the mount of their key, or of the token for a vault.

Pure. The kubelet limits the volume to `spec.decryption.memory`, and it counts towards the memory limits of the
containers. Only `prepare` mounts the key and writes to the volume; Triton reads it.
"""

from __future__ import annotations

from triton_operator.api.decryption import Decryption
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.vault import vault_mounts, vault_volumes
from triton_operator.triton.prepare_contract.request import KEYSET_DIR, KEYSET_FILE, PLAINTEXT_DIR

_PLAINTEXT, _KEYSET = "plaintext", "decryption-key"


def plaintext_volumes(spec: Spec) -> list[Manifest]:
    """The volumes for the key and the plaintext; none without `spec.decryption`."""
    if spec.decryption is None:
        return []
    plaintext = {"name": _PLAINTEXT, "emptyDir": {"medium": "Memory", "sizeLimit": spec.decryption.memory}}
    return [*_key_volumes(spec.decryption), plaintext]


def prepare_plaintext_mounts(spec: Spec) -> list[Manifest]:
    """The mounts of `prepare`."""
    if spec.decryption is None:
        return []
    secret = [{"name": _KEYSET, "mountPath": KEYSET_DIR, "readOnly": True}]
    key = vault_mounts() if spec.decryption.vault else secret
    return [*key, {"name": _PLAINTEXT, "mountPath": PLAINTEXT_DIR}]


def server_plaintext_mounts(spec: Spec) -> list[Manifest]:
    """The mounts of Triton."""
    if spec.decryption is None:
        return []
    return [{"name": _PLAINTEXT, "mountPath": PLAINTEXT_DIR, "readOnly": True}]


def scratch_medium(spec: Spec) -> Manifest:
    """Where Triton's /tmp is: in memory if models are decrypted, because backends unpack parts of models there."""
    return {"medium": "Memory"} if spec.decryption else {}


def _key_volumes(decryption: Decryption) -> list[Manifest]:
    if decryption.vault:
        return vault_volumes(decryption.vault)
    assert decryption.secret_ref  # noqa: S101 -- CEL and validate() reject a spec with neither
    reference = decryption.secret_ref
    items = [{"key": reference.key, "path": KEYSET_FILE}]
    return [{"name": _KEYSET, "secret": {"secretName": reference.name, "items": items}}]
