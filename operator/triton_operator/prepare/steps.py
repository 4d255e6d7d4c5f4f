"""The steps of `prepare`: fetch the repositories; verify, decrypt and resolve the models; lay them out; scan them.

Input: the Preparation in the pod's ConfigMap, the mounted repository and the folder for the models. Output: a Prepared,
or PrepareError. The command line and `tritonctl run` call it.
"""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.encryption.header import is_encrypted
from triton_operator.prepare.digest import content_mark
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.layout import empty_folder, lay_out
from triton_operator.prepare.model import resolve_model
from triton_operator.prepare.scanned import scan_all
from triton_operator.prepare.sources import Repositories, VerifiedModel, fetch_all
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel
from triton_operator.triton.prepare_contract.request import (
    KEYSET_DIR,
    KEYSET_FILE,
    MODELS_DIR,
    PLAINTEXT_DIR,
    VAULT_DIR,
    VERIFIED_DIR,
    Preparation,
    decode,
)

if TYPE_CHECKING:
    from triton_operator.encryption.keyset import KeysetOf


class Folders(NamedTuple):
    """The folders that `prepare` writes to, and those with the keys of encrypted models.

    `models` is the tree that Triton reads, `verified` has copies of signed models, and `plaintext` decrypted models.
    `keyset` is the file with the keys. `vault` has the token for a vault, which replaces the file.
    """

    models: Path = Path(MODELS_DIR)
    verified: Path = Path(VERIFIED_DIR)
    plaintext: Path = Path(PLAINTEXT_DIR)
    keyset: Path = Path(KEYSET_DIR, KEYSET_FILE)
    vault: Path = Path(VAULT_DIR)


def prepare(config: Path, source: Path, folders: Folders, keyset_of: KeysetOf | None = None) -> Prepared:
    """Run all steps; raises PrepareError, or OSError if a file cannot be read or written.

    `keyset_of` replaces the keys that a pod has: `tritonctl run` has those of its user.
    """
    preparation = _read_preparation(config)
    if preparation.decrypts:
        empty_folder(folders.plaintext)  # An init container may run again, and may fail then.
    repositories = Repositories(source, preparation, fetch_all(preparation.downloads, preparation.proxy))
    verified = _verify(preparation, repositories, config.parent, folders.verified)
    opened = _decrypt(preparation, verified, folders, keyset_of)
    resolved = [resolve_model(model.repository, model.request, config.parent) for model in opened]
    digests = lay_out(resolved, folders.models, folders.plaintext)
    scans = scan_all(resolved, opened, folders.models, preparation.scan)
    return Prepared(
        tuple(
            PreparedModel(model.name, model.versions, digest, content_mark(model, digest), checked.signed_by, scan)
            for model, digest, checked, scan in zip(resolved, digests, opened, scans, strict=True)
        )
    )


def fetch_only(config: Path) -> Prepared:
    """Only fetch and verify, onto a volume that outlives this pod; raises the same errors as `prepare`.

    A repository with a model that is rejected is removed, so that the next attempt fetches it again.
    """
    preparation = _read_preparation(config)
    for download in preparation.downloads:
        Path(download.target).mkdir(exist_ok=True)
    fetched = fetch_all(preparation.downloads, preparation.proxy, durable=True)
    try:
        _verify(preparation, Repositories(Path(), preparation, fetched), config.parent, Path())
    except PrepareError:
        for folder in fetched.values():
            shutil.rmtree(folder)
        raise
    return Prepared(())


def _verify(
    preparation: Preparation, repositories: Repositories, config_dir: Path, copies: Path
) -> list[VerifiedModel]:
    """Check the signatures, if the object requires it, before any other step reads the files."""
    opened = [VerifiedModel(repositories.of(model), model) for model in preparation.models]
    if preparation.verification is None:
        return opened
    from triton_operator.prepare.verified import Verifier  # Slow import, needed for signed models only.

    verifier = Verifier(preparation.verification, config_dir, copies)
    return [verifier.verify(model.repository, model.request) for model in opened]


def _decrypt(
    preparation: Preparation, models: list[VerifiedModel], folders: Folders, keyset_of: KeysetOf | None
) -> list[VerifiedModel]:
    """Replace encrypted models with their plaintext in memory."""
    encrypted = {model.request.name for model in models if _is_encrypted(model)}
    if not encrypted:
        return models
    if not preparation.decrypts:
        name = min(encrypted)
        raise PrepareError(
            Reason.DECRYPTION_KEY_MISSING,
            name,
            "the model is encrypted; set spec.decryption to a Secret with its key, or to the vault that wrapped it",
        )
    from triton_operator.prepare.decrypted import decrypt_all  # Slow import, needed for encrypted models only.

    keys = nullcontext(keyset_of) if keyset_of else _keys(preparation, folders)
    with keys as opened:
        return decrypt_all(models, encrypted, opened, folders.plaintext)


def _keys(preparation: Preparation, folders: Folders) -> AbstractContextManager[KeysetOf]:
    """Provide the function that finds the keyset of a model in a pod: in a vault, or in the Secret."""
    if preparation.vault:
        from triton_operator.prepare.vault_keys import open_vault

        return open_vault(preparation.vault, folders.vault)
    from triton_operator.prepare.decrypted import read_keys

    return nullcontext(read_keys(folders.keyset))


def _is_encrypted(model: VerifiedModel) -> bool:
    request = model.request
    if not model.repository.has_folder(request.path):
        return False
    return is_encrypted(model.repository.find_folder(request.name, request.path))


def _read_preparation(config: Path) -> Preparation:
    try:
        preparation = decode(config.read_bytes())
    except ValueError as error:
        raise PrepareError(Reason.PREPARE_FAILED, "", f"{config}: {error}") from error
    for model in preparation.models:
        if model.name in {"", ".", ".."} or "/" in model.name or "\0" in model.name:
            raise PrepareError(Reason.PREPARE_FAILED, model.name, f'"{model.name}" is not a valid model name')
    return preparation
