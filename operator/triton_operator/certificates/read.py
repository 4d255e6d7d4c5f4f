"""Read the facts of a stored certificate and its key."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from triton_operator.certificates.facts import CertificateFacts


def read_pair(certificate_pem: bytes, key_pem: bytes, digest: str) -> CertificateFacts:
    """Return the facts; those of a pair that cannot be used have a `problem`."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = load_pem_private_key(key_pem, password=None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        return CertificateFacts(digest=digest, problem=f"it cannot be read: {error}")
    if key.public_key() != certificate.public_key():
        return CertificateFacts(digest=digest, problem="its key does not match it")
    return CertificateFacts(
        digest=digest,
        serial=f"{certificate.serial_number:x}",
        names=frozenset(names.get_values_for_type(x509.DNSName)),
        authority=(issuer.key_identifier or b"").hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der=certificate.public_bytes(Encoding.DER),
    )
