"""Decrypt models into memory before any other step reads them.

Input: a model whose signature was verified, if the object requires one. Output: the model in the volume in memory, with
which the other steps continue; models that are not encrypted stay where they are. `steps` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.errors import DecryptionError, KeysetError
from triton_operator.encryption.header import read_header
from triton_operator.encryption.keyset import KeysetOf, read_keyset_file
from triton_operator.prepare.errors import PlaintextTooLargeError, PrepareError
from triton_operator.prepare.fetch.space import free_bytes, is_full
from triton_operator.prepare.layout import empty_folder
from triton_operator.prepare.repository import Repository
from triton_operator.prepare.sources import VerifiedModel


def decrypt_all(
    models: Sequence[VerifiedModel], encrypted: set[str], keyset_of: KeysetOf, target: Path
) -> list[VerifiedModel]:
    """Decrypt the models named in `encrypted` into the empty folder `target`.

    Raises PrepareError, after which nothing is left in the folder.
    """
    needed = _require_space([model for model in models if model.request.name in encrypted], target)
    try:
        return [_decrypt(model, keyset_of, target) if model.request.name in encrypted else model for model in models]
    except OSError as error:
        empty_folder(target)
        if is_full(error):  # Another process has filled the volume meanwhile.
            raise PlaintextTooLargeError(needed, free_bytes(target)) from error
        raise
    except BaseException:
        empty_folder(target)
        raise


def read_keys(file: Path) -> KeysetOf:
    """The keys in the Secret, which are those of all models; raises PrepareError."""
    try:
        keyset = read_keyset_file(file, "the Secret of spec.decryption.secretRef")
    except KeysetError as error:
        raise PrepareError(Reason.DECRYPTION_FAILED, "", str(error)) from error
    return lambda _: keyset


def _decrypt(model: VerifiedModel, keyset_of: KeysetOf, target: Path) -> VerifiedModel:
    request = model.request
    folder = model.repository.find_folder(request.name, request.path)
    try:
        decrypt_model(folder, model.signed_name, target / request.name, keyset_of(folder))
    except DecryptionError as error:
        raise PrepareError(error.reason, request.name, str(error)) from error
    own = msgspec.structs.replace(request, path=request.name, copy=False)
    return model._replace(repository=Repository(target, "/"), request=own)


def _require_space(models: Sequence[VerifiedModel], target: Path) -> int:
    """Compare the sizes in the headers with the volume before anything is decrypted; returns their sum in bytes."""
    needed = 0
    for model in models:
        folder = model.repository.find_folder(model.request.name, model.request.path)
        try:
            needed += read_header(folder)[0].size
        except DecryptionError as error:
            raise PrepareError(error.reason, model.request.name, str(error)) from error
    free = free_bytes(target)
    if needed > free:
        raise PlaintextTooLargeError(needed, free)
    return needed
