"""Verify the cryptographic signature of a model before anything else reads its files.

Input: a repository and a model as the object requests it. Output: the repository and the request that the other steps
use. If others can write to the source, that is a copy which only this pod can change: the files are copied, then
verified, and only the copies are read and served. `steps` calls it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.prepare.copying import copy_names
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.repository import Repository
from triton_operator.prepare.sources import VerifiedModel
from triton_operator.signing.errors import KeyFileError, VerificationError
from triton_operator.signing.keys import VerificationKey, key_in_memory, read_key
from triton_operator.signing.signed_files import covered_files
from triton_operator.signing.verify import has_signature, verify_model
from triton_operator.triton.model_file.folder import SIGNATURE_FILE
from triton_operator.triton.prepare_contract.request import KeyFile, PreparationModel, SignatureCheck


class Verifier:
    """Checks the models of one preparation; `copies` is the folder for copies of files that others could change."""

    def __init__(self, check: SignatureCheck, config_dir: Path, copies: Path) -> None:
        """Read the keys, whose files are in `config_dir`; raises PrepareError for an unusable one."""
        self._check = check
        self._keys = _read_keys(check, config_dir)
        self._copies = copies

    def verify(self, repository: Repository, request: PreparationModel) -> VerifiedModel:
        """Verify one model; raises PrepareError with the reason for the rejection."""
        opened = VerifiedModel(repository, request)
        if not repository.has_folder(request.path):  # An ensemble without files, or an error that `resolve` reports.
            return opened
        folder = repository.find_folder(request.name, request.path)
        if not self._check.require and not has_signature(folder):
            return opened
        name = opened.signed_name
        try:
            if not request.writable:
                return VerifiedModel(repository, request, verify_model(folder, name, self._keys))
            copy = self._copy(request.name, folder)
            signer = verify_model(copy, name, self._keys)
        except VerificationError as error:
            raise PrepareError(error.reason, request.name, str(error)) from error
        own = msgspec.structs.replace(request, path=copy.name, copy=False)
        return VerifiedModel(Repository(self._copies, "/"), own, signer, name)

    def _copy(self, model: str, folder: Path) -> Path:
        """Copy what a signature covers, and the signature; an earlier copy, of a restarted pod, is removed."""
        copy = self._copies / model
        if copy.exists():
            shutil.rmtree(copy)
        names = covered_files(folder)
        if has_signature(folder):
            names.append(SIGNATURE_FILE)
        copy.mkdir(parents=True)
        copy_names(model, folder, copy, sorted(names, key=os.fsencode))
        return copy


def _read_keys(check: SignatureCheck, config_dir: Path) -> Sequence[VerificationKey]:
    try:
        return [_read_key(key, config_dir) for key in check.keys]
    except KeyFileError as error:
        raise PrepareError(Reason.SIGNER_UNKNOWN, "", f"spec.verification.keys: {error}") from error


def _read_key(key: KeyFile, config_dir: Path) -> VerificationKey:
    if key.public_key:
        return key_in_memory(key.name, key.public_key)
    if not (config_dir / key.file).is_file():
        raise PrepareError(
            Reason.DEPENDENCY_MISSING,
            "",
            f'the ConfigMap "{key.config_map}" of the key "{key.name}" does not exist or has no key "{key.config_key}"',
        )
    return read_key(key.name, config_dir / key.file)
