"""Encrypt the folder of a model.

Input: the folder, a Keyset, and a folder for the result. Output: an encrypted model there; nothing if an error occurs.
`tritonctl encrypt` calls it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from triton_operator.encryption.errors import EncryptionError
from triton_operator.encryption.header import HEADER_FILE, SUFFIX, Header, associated_data, encode_header
from triton_operator.encryption.keyset import Keyset
from triton_operator.encryption.streams import copy_stream

SIGNATURE = "model.sig"


def encrypt_model(folder: Path, target: Path, keyset: Keyset) -> Header:
    """Encrypt the model in `folder` into the new folder `target`; raises EncryptionError."""
    names = sorted(_files(folder))
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
        partial.rename(target)
    except OSError as error:
        raise EncryptionError(f"{error.filename or target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return header


def _require_encryptable(folder: Path, names: list[str]) -> None:
    if HEADER_FILE in names:
        raise EncryptionError(f"{folder} is already encrypted")
    if SIGNATURE in names:
        raise EncryptionError(f"{folder} is signed; remove {SIGNATURE}, encrypt, and sign the encrypted model")
    if not names:
        raise EncryptionError(f"{folder} contains no files to encrypt")


def _encrypt(source: Path, target: Path, keyset: Keyset, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as plain, target.open("xb") as file, keyset.aead.new_encrypting_stream(file, data) as cipher:
        copy_stream(plain, cipher)


def _files(folder: Path, prefix: str = "") -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        raise EncryptionError(f"{folder}: {error.strerror}") from error
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise EncryptionError(f"{entry.path} is a link or a special file; replace it with the file")
        if entry.is_dir():
            yield from _files(Path(entry.path), f"{path}/")
        else:
            yield path
