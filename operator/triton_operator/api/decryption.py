"""The key of encrypted models: `spec.decryption`.

The schema documents each field. The key is in a Secret, which only the kubelet reads: it mounts it into `prepare`. Or
it is next to the model, wrapped by a key of a vault, to which `prepare` logs in. `prepare` decrypts the models into
memory.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.repository import CABundle
from triton_operator.api.struct import Struct


class KeysetRef(Struct, frozen=True):
    """A key of a Secret in the deployment's namespace that contains a keyset of `tritonctl encrypt`."""

    name: str
    key: str = "keyset.json"


class VaultEgress(Struct, frozen=True):
    """Peers and ports of the vault, to which serving pods may connect under private profiles.

    `to` has NetworkPolicyPeers of Kubernetes; `ports` empty means the port in the vault's address.
    """

    to: tuple[dict[str, Any], ...] = ()
    ports: tuple[int, ...] = ()


class Vault(Struct, frozen=True):
    """A key management service with HashiCorp's API: its auth method for Kubernetes, and its transit engine."""

    address: str
    role: str
    key: str
    auth_path: str = "kubernetes"
    transit_path: str = "transit"
    ca_config_map_ref: CABundle | None = None
    egress: VaultEgress = VaultEgress()


class Decryption(Struct, frozen=True):
    """`memory` is the size of the volume in memory for the plaintext of all models, a Kubernetes quantity.

    Exactly one of `secret_ref` and `vault` is set.
    """

    memory: str
    secret_ref: KeysetRef | None = None
    vault: Vault | None = None
