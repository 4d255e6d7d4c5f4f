"""The keys of encrypted models: a Tink keyset in a file, which `tritonctl encrypt --create-key` creates.

Input: the bytes of a JSON keyset. Output: a Keyset, which encrypts with its primary key and decrypts with all of them,
so a rotation needs no new form. Error messages never contain a part of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import tink
from tink import secret_key_access, streaming_aead

from triton_operator.encryption.errors import EncryptionError, KeysetError
from triton_operator.files import FileTooLargeError, create_file, read_file

TEMPLATE = "AES256_GCM_HKDF_1MB"
"""Each segment of 1 MiB is authenticated on its own, so memory use does not depend on the size of a file."""

MAX_BYTES = 1 << 20
"""Maximum size of a file with keys; one key has about 400 bytes."""


class Keyset:
    """Keys for models; `primary_id` identifies the key that encrypts."""

    def __init__(self, handle: Any) -> None:
        self.aead: Any = handle.primitive(streaming_aead.StreamingAead)
        info = handle.keyset_info()
        self.primary_id: int = info.primary_key_id
        self.ids: tuple[int, ...] = tuple(key.key_id for key in info.key_info)


KeysetOf: TypeAlias = Callable[[Path], Keyset]
"""Returns the keyset of the encrypted model in a folder; raises DecryptionError, or VaultError for one in a vault."""


def read_keyset(content: bytes, name: str) -> Keyset:
    """Read a keyset; raises KeysetError, which names it `name`."""
    streaming_aead.register()
    try:
        handle = tink.json_proto_keyset_format.parse(content.decode(), secret_key_access.TOKEN)
        return Keyset(handle)
    except (tink.TinkError, ValueError):
        # The cause is not chained: the library's messages may quote the file.
        raise KeysetError(
            f"{name} is not a keyset of tritonctl encrypt --create-key (Tink, JSON, streaming AEAD)"
        ) from None


def read_keyset_file(file: Path, name: str) -> Keyset:
    """Read a file with a keyset; raises KeysetError, which names it `name`, and OSError."""
    try:
        return read_keyset(read_file(file, MAX_BYTES), name)
    except FileTooLargeError:
        raise KeysetError(f"{name} has more than {MAX_BYTES >> 20} MiB, so it is not a keyset") from None


def new_keyset() -> bytes:
    """The content of a new file with one key."""
    streaming_aead.register()
    handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
    content: str = tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
    return content.encode()


def create_keyset(file: Path) -> None:
    """Write a new keyset that only its owner can read; raises EncryptionError if the file exists."""
    try:
        create_file(file, new_keyset())
    except FileExistsError:
        raise EncryptionError(f"{file} already exists; omit --create-key to encrypt with it") from None
    except OSError as error:
        raise EncryptionError(f"{file} cannot be written: {error.strerror}") from error
