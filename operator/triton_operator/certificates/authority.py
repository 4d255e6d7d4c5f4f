"""One certificate authority: create it, and read it from the data of its Secret.

The certificate is valid for ten years. A shorter lifetime would suffice for clients in the cluster, which read
the bundle again when it changes; but clients outside the cluster have a copy that must be replaced manually. A
key that may have leaked is replaced immediately (see `rotation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from triton_operator.certificates.keys import (
    BACKDATE,
    Generate,
    PrivateKey,
    certificate_builder,
    encode_certificate,
    encode_key,
    generate_key,
    key_id,
    key_usage,
)
from triton_operator.errors import TritonOperatorError

AUTHORITY_LIFE = timedelta(days=3650)


class InvalidAuthorityError(TritonOperatorError):
    """The stored certificate and key are not an authority that this operator can use."""


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """A certificate and its key; `id` is the key identifier, in hexadecimal digits."""

    id: str
    certificate: x509.Certificate
    key: PrivateKey
    certificate_pem: bytes

    @property
    def active_from(self) -> datetime:
        """When it starts to sign."""
        return self.certificate.not_valid_before_utc + BACKDATE

    @property
    def expires_at(self) -> datetime:
        """When it is not valid any more."""
        return self.certificate.not_valid_after_utc

    @property
    def name(self) -> str:
        """Its common name, which is the issuer of what it signs."""
        return str(self.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM form, as stored in the Secret."""
        return encode_key(self.key)


def create_authority(active_from: datetime, generate: Generate = generate_key) -> Authority:
    """A new authority that starts to sign at `active_from`.

    Its key identifier is part of its name, so that verifiers can distinguish two authorities in one bundle.
    """
    key = generate()
    identifier = key_id(key)
    name = f"triton-operator {identifier.digest.hex()[:16]}"
    not_before = active_from.replace(microsecond=0) - BACKDATE
    builder = certificate_builder(
        key, subject=name, issuer=name, not_before=not_before, not_after=not_before + AUTHORITY_LIFE
    )
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(is_authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(identifier.digest.hex(), certificate, key, encode_certificate(certificate))


def read_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Read a stored authority; raises InvalidAuthorityError."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = load_pem_private_key(key_pem, password=None)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise InvalidAuthorityError(f"not a certificate and its key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise InvalidAuthorityError("the key does not belong to the certificate")
    if not constraints.ca:
        raise InvalidAuthorityError("the certificate is not a CA certificate")
    return Authority(key_id(key).digest.hex(), certificate, key, encode_certificate(certificate))


def is_signed_by(certificate_der: bytes, authority: Authority) -> bool:
    """Whether this authority has signed the certificate."""
    try:
        x509.load_der_x509_certificate(certificate_der).verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
