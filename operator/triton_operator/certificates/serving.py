"""The serving certificate of one deployment: the names in it, and how it is issued."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from triton_operator.certificates.authority import Authority
from triton_operator.certificates.keys import (
    BACKDATE,
    Generate,
    certificate_builder,
    encode_certificate,
    encode_key,
    generate_key,
    key_id,
    key_usage,
)

SERVING_LIFE = timedelta(days=90)
"""Renewal begins after 60 days, so the certificate stays valid even if the operator is down for 30 days."""

_COMMON_NAME_LENGTH = 64


class IssuedCertificate(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


def issue(
    authority: Authority, names: tuple[str, ...], now: datetime, generate: Generate = generate_key
) -> IssuedCertificate:
    """A certificate for these DNS names, with a new key; it expires with its authority at the latest."""
    key = generate()
    not_before = max(now.replace(microsecond=0) - BACKDATE, authority.certificate.not_valid_before_utc)
    builder = certificate_builder(
        key,
        subject=max((name for name in names if len(name) <= _COMMON_NAME_LENGTH), key=len, default="triton"),
        issuer=authority.name,
        not_before=not_before,
        not_after=min(not_before + BACKDATE + SERVING_LIFE, authority.expires_at),
    )
    certificate = (
        builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id(authority.key)), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    return IssuedCertificate(encode_certificate(certificate), encode_key(key))
