"""The vault that unwraps the keys of encrypted models: the pod's token, the request to `prepare`, and the egress.

Pure. Only `prepare` mounts the token, which is valid for the vault only. A NetworkPolicy applies to the whole pod, so
Triton can connect to the vault as well, but has no token for it.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from triton_operator.api.decryption import Vault
from triton_operator.api.spec import Spec
from triton_operator.resources.egress import port_of, to_resolvers
from triton_operator.resources.metadata import Manifest
from triton_operator.triton.prepare_contract.request import VAULT_CA_FILE, VAULT_DIR, VAULT_TOKEN_FILE, VaultLogin

AUDIENCE = "vault"
"""The audience of the token, so that no other service accepts it. The chart's policies allow no other one."""

TOKEN_SECONDS = 600
"""The shortest lifetime that Kubernetes supports; the kubelet renews the token, because `prepare` may run again."""

_VOLUME = "decryption-vault"


def vault_of(spec: Spec) -> Vault | None:
    """The vault of `spec.decryption`; None if the key is in a Secret, or no model is encrypted."""
    return spec.decryption.vault if spec.decryption else None


def vault_login(spec: Spec) -> VaultLogin | None:
    """The request to `prepare`."""
    vault = vault_of(spec)
    if vault is None:
        return None
    authorities = vault.ca_config_map_ref
    return VaultLogin(
        address=vault.address.rstrip("/"),
        role=vault.role,
        key=vault.key,
        auth_path=vault.auth_path,
        transit_path=vault.transit_path,
        ca_config_map=authorities.name if authorities else "",
        ca_key=authorities.key if authorities else "",
    )


def vault_volumes(vault: Vault) -> list[Manifest]:
    """The volume with the token and the authorities.

    The ConfigMap is optional, because `prepare` reports a missing one with its key, which the kubelet does not.
    """
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": VAULT_TOKEN_FILE}
    sources: list[Manifest] = [{"serviceAccountToken": token}]
    if authorities := vault.ca_config_map_ref:
        items = [{"key": authorities.key, "path": VAULT_CA_FILE}]
        sources.append({"configMap": {"name": authorities.name, "items": items, "optional": True}})
    return [{"name": _VOLUME, "projected": {"sources": sources}}]


def vault_mounts() -> list[Manifest]:
    """The mount of this volume in `prepare`."""
    return [{"name": _VOLUME, "mountPath": VAULT_DIR, "readOnly": True}]


def vault_egress(spec: Spec) -> list[Manifest]:
    """The egress rules of the serving pods: to the vault, and to DNS if its address contains a name."""
    vault = vault_of(spec)
    if vault is None or not vault.egress.to:
        return []
    ports = [{"port": port, "protocol": "TCP"} for port in vault_ports(vault)]
    rules: list[Manifest] = [{"to": list(vault.egress.to), "ports": ports}]
    return rules if has_ip_address(vault) else [to_resolvers(), *rules]


def vault_ports(vault: Vault) -> list[int]:
    """The ports to which pods may connect."""
    return list(vault.egress.ports) or [port_of(vault.address)]


def has_ip_address(vault: Vault) -> bool:
    """Whether pods can connect without DNS."""
    try:
        ip_address(host_of(vault))
    except ValueError:
        return False
    return True


def host_of(vault: Vault) -> str:
    """The name or IP address of the vault; "" if the address has none."""
    try:
        return urlsplit(vault.address).hostname or ""
    except ValueError:
        return ""
