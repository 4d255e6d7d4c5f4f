"""Create the certificates and keys of one local cluster.

Input: names. Output: PEM files in one folder. The control plane and the native node call it before they start a
program. One authority signs all certificates; it is deleted together with the cluster's folder.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIFETIME = dt.timedelta(days=365)
# A machine whose clock is slightly slow must not reject a new certificate.
_BACKDATE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class CertificateSubject:
    """The subject of a certificate: user name and groups in Kubernetes, and a server's host names and addresses."""

    name: str
    groups: Sequence[str] = ()
    hosts: Sequence[str] = ()
    addresses: Sequence[str] = ()


class ClusterAuthority:
    """A certificate authority whose files are `<folder>/ca.crt` and `ca.key`."""

    def __init__(self, folder: Path) -> None:
        """Create a new authority and write its files to `folder`, which must exist."""
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(CertificateSubject("triton-operator local cluster"))
        self._certificate = self._sign_own()
        _write_pair(folder, "ca", self._certificate, self._key)

    @property
    def certificate(self) -> Path:
        """The authority's certificate, which clients and servers trust."""
        return self.folder / "ca.crt"

    def issue(self, file_name: str, subject: CertificateSubject) -> None:
        """Write `<file_name>.crt` and `.key`, valid for clients and servers."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(_named(subject), key).add_extension(usages, critical=False)
        alternatives = _alternatives(subject)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        _write_pair(self.folder, file_name, builder.sign(self._key, hashes.SHA256()), key)

    def _sign_own(self) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(self._name, self._key).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def write_signing_pair(folder: Path, file_name: str) -> None:
    """Write `<file_name>.key` and the public key `.pub`, which sign and verify service-account tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write_secret(folder / f"{file_name}.key", _private_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{file_name}.pub").write_bytes(public)


def _named(subject: CertificateSubject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])


def _alternatives(subject: CertificateSubject) -> list[x509.GeneralName]:
    names = [x509.DNSName(host) for host in subject.hosts]
    return [*names, *(x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses)]


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write_secret(folder / f"{name}.key", _private_pem(key))
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
