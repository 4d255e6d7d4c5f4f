"""Decrypt the folder of a model into a folder in memory.

Input: the folder of an encrypted model, its name, a Keyset, and a folder. Output: the plaintext there, or a
DecryptionError, after which nothing is left. The caller checks beforehand that the plaintext fits. Every file is
authenticated together with its path and the header, so a file that was swapped, renamed, truncated or belongs to
another model is rejected. `prepare` and `tritonctl` call it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO

from triton_operator.api.conditions import Reason
from triton_operator.api.text import escape
from triton_operator.encryption.errors import DecryptionError
from triton_operator.encryption.header import HEADER_FILE, SUFFIX, Header, associated_data, read_header
from triton_operator.encryption.keyset import Keyset
from triton_operator.encryption.streams import copy_stream
from triton_operator.encryption.wrapped_keyset import WRAPPED_FILE, is_wrapped
from triton_operator.files import open_new, open_regular
from triton_operator.triton.model_file.folder import SIGNATURE_FILE, walk

_OTHERS = frozenset({HEADER_FILE, WRAPPED_FILE, SIGNATURE_FILE})
"""Files that are not encrypted: the header, the wrapped keyset, and the signature of the encrypted model."""


def decrypt_model(folder: Path, name: str, target: Path, keyset: Keyset) -> Header:
    """Decrypt the model in `folder`, which was encrypted under the name `name`, into the new folder `target`."""
    header, content = read_header(folder)
    if header.model != name:
        raise _failed(f'the files are those of the model "{escape(header.model[:100])}", not of "{name}"')
    _require_same_names(folder, header)
    if header.key_id not in keyset.ids:
        known = ", ".join(map(str, keyset.ids))
        advice = f"use the vault that wrapped the key in {WRAPPED_FILE}" if is_wrapped(folder) else "add the key"
        raise _failed(f"the model was encrypted with the key {header.key_id}, but the keyset has {known}; {advice}")
    try:
        target.mkdir(mode=0o700)
        for path in header.files:
            _decrypt(folder, path, target, header, keyset, associated_data(content, name, path))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return header


def _decrypt(folder: Path, path: str, target: Path, header: Header, keyset: Keyset, data: bytes) -> None:
    (target / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_new(target / path) as plain, _open(folder, path) as cipher:
        try:
            size = copy_stream(keyset.aead.new_decrypting_stream(cipher, data), plain)
        except OSError:
            raise
        except Exception as error:  # Tink raises errors of several classes; every one is a refusal.
            raise _failed(f"{escape(path)}{SUFFIX} was changed, truncated, or encrypted with another key") from error
    if size != header.files[path]:
        raise _failed(f"{escape(path)} has {size} bytes, but the header says {header.files[path]}")


def _open(folder: Path, path: str) -> IO[bytes]:
    try:
        return open_regular(folder / f"{path}{SUFFIX}")
    except OSError as error:
        raise _failed(f"{escape(path)}{SUFFIX} cannot be read: {error.strerror}") from error


def _require_same_names(folder: Path, header: Header) -> None:
    """A file that the header does not list would not be served, but somebody wanted it to be."""
    expected = {f"{path}{SUFFIX}" for path in header.files}
    found = {path for path, _ in walk(folder)} - _OTHERS
    if missing := sorted(expected - found):
        raise _failed(f"{escape(missing[0])} is missing")
    if added := sorted(found - expected):
        raise _failed(f"{escape(added[0])} is not in {HEADER_FILE}; remove it, or encrypt the model again")


def _failed(message: str) -> DecryptionError:
    return DecryptionError(Reason.DECRYPTION_FAILED, message)
