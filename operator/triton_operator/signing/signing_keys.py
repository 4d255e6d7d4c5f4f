"""Create the key pair of a signer.

Input: a path. Output: a P-256 private key there, readable only by its owner, and the public key next to it. An existing
file is never overwritten. `tritonctl sign --create-key` calls it.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from triton_operator.files import PRIVATE, create_file
from triton_operator.signing.errors import SigningError


def create(file: Path, password: str | None = None) -> Path:
    """Write a new private key to `file` and return the path of the public key; raises SigningError."""
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    public = file.with_name(f"{file.name}.pub")
    _write_new(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), PRIVATE)
    _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return public


def _write_new(file: Path, content: bytes, mode: int) -> None:
    try:
        create_file(file, content, mode)
    except FileExistsError:
        raise SigningError(f"{file} already exists; omit --create-key to sign with it") from None
    except OSError as error:
        raise SigningError(f"{file} cannot be written: {error.strerror}") from error
