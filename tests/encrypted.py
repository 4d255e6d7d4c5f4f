"""Encrypted models in the folders of a pod."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from tests.pod_folders import Pod
from tests.vault_server import JWT, OWNER, VaultServer
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import Keyset, create_keyset, read_keyset
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.vault_key import VaultKey
from triton_operator.encryption.wrapped_keyset import WrappedKeyset
from triton_operator.triton.prepare_contract.request import VaultLogin


def encrypt(pod: Pod, *models: Path) -> Path:
    """Encrypt models in place with the keyset of the pod, which is created first, and return the keyset's file."""
    if not pod.keyset.exists():
        create_keyset(pod.keyset)
    keys = read_keyset(pod.keyset.read_bytes(), "keys")
    for model in models:
        _replace(pod, model, keys)
    return pod.keyset


def wrap(pod: Pod, vault: VaultServer, *models: Path, authorities: bytes | None = None) -> None:
    """Encrypt models in place with keys that the vault wraps, and let the pod log in to it from the next `ask` on."""
    key = VaultKey(VaultClient(vault.address, authorities), "transit", "models", OWNER)
    for model in models:
        _replace(pod, model, *key.create_keyset())
    pod.unwrap_with(login_to(vault), JWT)


def login_to(vault: VaultServer, **fields: str) -> VaultLogin:
    """The request to log in to the vault; `fields` differ from what it accepts."""
    login = VaultLogin(vault.address, "digits", "models", "kubernetes", "transit")
    return msgspec.structs.replace(login, **fields)


def _replace(pod: Pod, model: Path, keys: Keyset, wrapped: WrappedKeyset | None = None) -> None:
    folder = pod.root / "encrypted" / model.name
    folder.parent.mkdir(exist_ok=True)
    encrypt_model(model, folder, keys, wrapped)
    shutil.rmtree(model)
    folder.rename(model)
