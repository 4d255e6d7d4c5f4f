"""Keys that may sign models: public keys, or certificates of an authority whose certificates sign.

Input: a PEM file. Output: a VerificationKey, or KeyFileError. The fingerprint identifies a key in messages and in the
signature file: it is the SHA-256 of the key in PEM form, as OpenSSF model signing records it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from triton_operator.signing.errors import KeyFileError

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The elliptic curves of the format; OpenSSF model signing supports no RSA keys."""


class VerificationKey(NamedTuple):
    """A key by the name that `spec.verification.keys` gives it; `fingerprint` is "" for a certificate."""

    name: str
    file: Path
    fingerprint: str

    @property
    def is_certificate(self) -> bool:
        """Whether the file has certificates of an authority instead of a public key."""
        return not self.fingerprint


def read_key(name: str, file: Path) -> VerificationKey:
    """Read a key or certificates from a PEM file; raises KeyFileError, which names the key."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise KeyFileError(f'key "{name}": {file} cannot be read: {error.strerror}') from error
    try:
        if b"BEGIN CERTIFICATE" in content:
            x509.load_pem_x509_certificates(content)
            return VerificationKey(name, file, "")
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f'key "{name}" is neither a public key ("BEGIN PUBLIC KEY") nor a certificate in PEM form'
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise KeyFileError(f'key "{name}" is not an elliptic curve key of P-256, P-384 or P-521')
    return VerificationKey(name, file, fingerprint(key))


def key_in_memory(name: str, pem: str) -> VerificationKey:
    """Read a key from text; raises KeyFileError. Its file is in memory, because the pod may have no writable disk.

    The file exists as long as the process.
    """
    descriptor = os.memfd_create(f"key-{name}")
    os.write(descriptor, pem.encode())
    return read_key(name, Path(f"/proc/self/fd/{descriptor}"))


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key in PEM form, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
