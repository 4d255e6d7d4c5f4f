"""Encrypted models in the folders of a pod."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.pod_folders import Pod
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset


def encrypt(pod: Pod, *models: Path) -> Path:
    """Encrypt models in place with the keyset of the pod, which is created first, and return the keyset's file."""
    if not pod.keyset.exists():
        create_keyset(pod.keyset)
    keys = read_keyset(pod.keyset.read_bytes(), "keys")
    for model in models:
        folder = pod.root / "encrypted" / model.name
        folder.parent.mkdir(exist_ok=True)
        encrypt_model(model, folder, keys)
        shutil.rmtree(model)
        folder.rename(model)
    return pod.keyset
