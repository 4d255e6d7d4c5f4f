"""The clear header of an encrypted model: its name, and the path and size of each file.

Input: bytes of HEADER_FILE, which are untrusted. Output: a Header, or DecryptionError. The sizes are needed before the
decryption, because the plaintext must fit into memory. The header is authenticated with every file, so a changed header
makes every file undecipherable.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.struct import Struct
from triton_operator.api.text import escape
from triton_operator.encryption.errors import DecryptionError
from triton_operator.files import FileTooLargeError, read_regular

HEADER_FILE = "encryption.json"
"""Name of the header in the folder of an encrypted model."""

SUFFIX = ".enc"
"""Ending of the encrypted files."""

MAX_BYTES = 8 << 20
MAX_FILES = 20_000
"""As many files as a model may have; see `prepare.repository`."""

MAX_SIZE = 1 << 50


class Header(Struct, frozen=True):
    """`files` maps paths in the model's folder to the sizes of the plaintext in bytes; `key_id` is that of the key."""

    model: str
    files: dict[str, int]
    key_id: int
    version: int = 1

    @property
    def size(self) -> int:
        """Size of the whole plaintext in bytes."""
        return sum(self.files.values())


def encode_header(header: Header) -> bytes:
    """Write a header; equal content is encoded as equal bytes."""
    return msgspec.json.format(msgspec.json.encode(header, order="sorted"), indent=1) + b"\n"


def is_encrypted(folder: Path) -> bool:
    """Whether the folder is that of an encrypted model."""
    return (folder / HEADER_FILE).exists()


def read_header(folder: Path) -> tuple[Header, bytes]:
    """Read the header of an encrypted model and return it with its bytes; raises DecryptionError."""
    path = folder / HEADER_FILE
    try:
        content = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise _invalid(f"cannot be read: {error.strerror}") from error
    except FileTooLargeError:
        raise _invalid(f"has more than {MAX_BYTES >> 20} MiB") from None
    try:
        header = msgspec.json.decode(content, type=Header)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _invalid(f"is not a header of tritonctl encrypt: {error}") from error
    _check(header)
    return header, content


def associated_data(header: bytes, model: str, path: str) -> bytes:
    """What is authenticated with the file `path` of a model: the model's name, the path, and the header."""
    parts = ("triton-operator encrypted model 1", hashlib.sha256(header).hexdigest(), model, path)
    return "\0".join(parts).encode()


def _check(header: Header) -> None:
    if header.version != 1:
        raise _invalid(f"has version {header.version}, but only version 1 is supported; use a newer operator")
    if len(header.files) > MAX_FILES:
        raise _invalid(f"lists more than {MAX_FILES} files")
    for path, size in header.files.items():
        parts = PurePosixPath(path).parts
        if not path or "\0" in path or path.startswith("/") or ".." in parts or str(PurePosixPath(path)) != path:
            raise _invalid(f"lists {escape(path[:100])!r}, which is not a path in the model's folder")
        if not 0 <= size <= MAX_SIZE:
            raise _invalid(f"lists {escape(path[:100])!r} with a size of {size} bytes")


def _invalid(problem: str) -> DecryptionError:
    return DecryptionError(Reason.DECRYPTION_FAILED, f"{HEADER_FILE} {problem}; encrypt the model again")
