"""Encrypt the folder of a model.

Input: the folder, a Keyset, and a folder for the result. Output: an encrypted model there; nothing if an error occurs.
`tritonctl encrypt` calls it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from triton_operator.encryption.errors import EncryptionError
from triton_operator.encryption.header import HEADER_FILE, SUFFIX, Header, associated_data, encode_header
from triton_operator.encryption.keyset import Keyset
from triton_operator.encryption.streams import copy_stream
from triton_operator.encryption.wrapped_keyset import WrappedKeyset, write_wrapped
from triton_operator.triton.model_file.folder import SIGNATURE_FILE, is_file, walk


def encrypt_model(folder: Path, target: Path, keyset: Keyset, wrapped: WrappedKeyset | None = None) -> Header:
    """Encrypt the model in `folder` into the new folder `target`, with the wrapped keyset; raises EncryptionError."""
    names = _files(folder)
    _require_encryptable(folder, names)
    header = Header(folder.resolve().name, {name: (folder / name).stat().st_size for name in names}, keyset.primary_id)
    if target.exists():
        raise EncryptionError(f"{target} already exists; remove it or choose another folder")
    content = encode_header(header)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for name in names:
            _encrypt(folder / name, partial / f"{name}{SUFFIX}", keyset, associated_data(content, header.model, name))
        (partial / HEADER_FILE).write_bytes(content)
        if wrapped:
            write_wrapped(partial, wrapped)
        partial.rename(target)
    except OSError as error:
        raise EncryptionError(f"{error.filename or target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return header


def _require_encryptable(folder: Path, names: list[str]) -> None:
    if HEADER_FILE in names:
        raise EncryptionError(f"{folder} is already encrypted")
    if SIGNATURE_FILE in names:
        raise EncryptionError(f"{folder} is signed; remove {SIGNATURE_FILE}, encrypt, and sign the encrypted model")
    if not names:
        raise EncryptionError(f"{folder} contains no files to encrypt")


def _encrypt(source: Path, target: Path, keyset: Keyset, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as plain, target.open("xb") as file, keyset.aead.new_encrypting_stream(file, data) as cipher:
        copy_stream(plain, cipher)


def _files(folder: Path) -> list[str]:
    try:
        found = list(walk(folder))
    except OSError as error:
        raise EncryptionError(f"{error.filename}: {error.strerror}") from error
    for _, entry in found:
        if not is_file(entry):
            raise EncryptionError(f"{entry.path} is a link or a special file; replace it with the file")
    return sorted(path for path, _ in found)
