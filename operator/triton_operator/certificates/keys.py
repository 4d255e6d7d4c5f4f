"""Keys of P-256, their PEM form, and the values that identify a certificate by its key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PrivateKey = ec.EllipticCurvePrivateKey
Generate = Callable[[], PrivateKey]

BACKDATE = timedelta(hours=1)
"""A client whose clock is slow must not reject a new certificate."""

_SERIAL_BYTES = 16


def generate_key() -> PrivateKey:
    """A new P-256 key: every TLS 1.3 client supports the curve, and signing is fast."""
    return ec.generate_private_key(ec.SECP256R1())


def encode_key(key: PrivateKey) -> bytes:
    """PKCS #8 without a password, as HAProxy and `kubernetes.io/tls` Secrets expect."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_id(key: PrivateKey) -> x509.SubjectKeyIdentifier:
    """The key identifier: in the certificates of this key, and as that of the issuer in those that it signs."""
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def certificate_builder(
    key: PrivateKey, *, subject: str, issuer: str, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    """A builder with everything but extensions.

    No key is used for two certificates, so the serial number, a digest of the public key, is unique and unpredictable.
    """
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(digest.finalize()[:_SERIAL_BYTES]) | 1)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def key_usage(*, is_authority: bool) -> x509.KeyUsage:
    """The uses of a key: an authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
