"""Models that were signed with a certificate, which an authority in `spec.verification.keys` has issued."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from model_signing.hashing import Config as HashingConfig
from model_signing.signing import Config

from triton_operator.api.conditions import Reason
from triton_operator.signing.errors import VerificationError
from triton_operator.signing.keys import read_key
from triton_operator.signing.verify import verify_model

NOW = dt.datetime.now(dt.UTC)


class Authority:
    """An authority of this test, with the file of its certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def sign(self, model: Path) -> None:
        """Issue a certificate and sign the model with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "release")])
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private, public = self._folder / "leaf.key", self._folder / "leaf.pem"
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(certificate.public_bytes(Encoding.PEM))
        hashing: Any = HashingConfig()  # type: ignore[no-untyped-call]  # The package has no types for it.
        config: Any = Config()  # type: ignore[no-untyped-call]  # The same.
        config.set_hashing_config(hashing.set_ignored_paths(paths=["model.sig"]))
        config.use_certificate_signer(private_key=private, signing_certificate=public, certificate_chain=[self.file])
        config.sign(model, model / "model.sig")

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        day = dt.timedelta(days=1)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - day).not_valid_after(NOW + day)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        return builder.add_extension(own, critical=False).add_extension(identifier, critical=False)


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def test_a_certificate_of_a_named_authority_signs_and_that_of_another_one_does_not(tmp_path: Path) -> None:
    model = tmp_path / "digits"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.pt").write_bytes(b"model")
    trusted, other = Authority(tmp_path, "trusted"), Authority(tmp_path, "other")
    keys = [read_key("other", other.file), read_key("trusted", trusted.file)]
    trusted.sign(model)
    assert verify_model(model, "digits", keys) == "trusted"
    with pytest.raises(VerificationError) as refused:
        verify_model(model, "digits", keys[:1])
    assert refused.value.reason == Reason.SIGNATURE_INVALID
    (model / "1" / "model.pt").write_bytes(b"other")
    with pytest.raises(VerificationError) as changed:
        verify_model(model, "digits", keys)
    assert changed.value.reason == Reason.SIGNED_FILE_CHANGED
