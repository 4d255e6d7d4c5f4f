"""The keyset of one model, wrapped by a key of a vault, in a file next to the encrypted files.

Input: the folder of an encrypted model, which is untrusted. Output: a WrappedKeyset, or DecryptionError. The file is
not part of the header, so that a vault can wrap the keyset again with a newer key without encrypting the model again.
Only the right keyset decrypts the model, so the file needs no authentication of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.struct import Struct
from triton_operator.encryption.errors import DecryptionError
from triton_operator.files import FileTooLargeError, open_regular, read_stream

WRAPPED_FILE = "encryption.key.json"
"""Name of the file in the folder of an encrypted model."""

MAX_BYTES = 64 << 10
"""Maximum size of the file; a wrapped keyset has about 700 bytes."""


class WrappedKeyset(Struct, frozen=True):
    """`ciphertext` is what the vault returned for the keyset, `key` the name of the vault's key."""

    ciphertext: str
    key: str
    version: int = 1


def is_wrapped(folder: Path) -> bool:
    """Whether the keyset of the encrypted model is next to it."""
    return os.path.lexists(folder / WRAPPED_FILE)


def write_wrapped(folder: Path, wrapped: WrappedKeyset) -> None:
    """Write the file; raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(wrapped, order="sorted"), indent=1)
    (folder / WRAPPED_FILE).write_bytes(content + b"\n")


def read_wrapped(folder: Path) -> WrappedKeyset:
    """Read the file; raises DecryptionError."""
    try:
        with open_regular(folder / WRAPPED_FILE) as stream:
            content = read_stream(stream, MAX_BYTES)
        wrapped = msgspec.json.decode(content, type=WrappedKeyset)
    except FileNotFoundError:
        raise _failed(
            f"the folder has no {WRAPPED_FILE}, because a file with keys encrypted the model; use that file"
            " (spec.decryption.secretRef), or encrypt the model again with --vault"
        ) from None
    except OSError as error:
        raise _failed(f"{WRAPPED_FILE} cannot be read: {error.strerror}") from error
    except FileTooLargeError:
        raise _failed(f"{WRAPPED_FILE} has more than {MAX_BYTES >> 10} KiB; encrypt the model again") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"{WRAPPED_FILE} is not a file of tritonctl encrypt --vault: {error}; encrypt the model again"
        raise _failed(message) from error
    if wrapped.version != 1:
        raise _failed(f"{WRAPPED_FILE} has version {wrapped.version}, but only 1 is supported; use a newer operator")
    return wrapped


def _failed(message: str) -> DecryptionError:
    return DecryptionError(Reason.DECRYPTION_FAILED, message)
