"""Keys of users and of the API server become PEM, and anything else is an error that says what it is."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.resources.public_keys import (
    canonical_subject,
    certificates_of_pem,
    key_id,
    key_of_pem,
    keys_of_jwks,
)

RSA = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- must be refused
CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def encoded(number: int) -> str:
    """A Base64urlUInt."""
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def rsa_jwk(key: rsa.RSAPrivateKey = RSA, **members: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": "r", "n": encoded(numbers.n), "e": encoded(numbers.e), **members}


def ec_jwk(curve: str = "P-256", **members: Any) -> dict[str, Any]:
    numbers = ec.generate_private_key(CURVES[curve]).public_key().public_numbers()
    return {"kty": "EC", "kid": "e", "crv": curve, "x": encoded(numbers.x), "y": encoded(numbers.y), **members}


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def pem_of(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(("alg", "algorithm"), [("", "RS256"), ("RS256", "RS256"), ("RS512", "RS512")])
def test_an_rsa_key_keeps_its_numbers(alg: str, algorithm: str) -> None:
    (key,) = keys_of_jwks(jwks(rsa_jwk(alg=alg)))
    assert (key.kid, key.algorithm) == ("r", algorithm)
    assert load_pem_public_key(key.pem.encode()) == RSA.public_key()


@pytest.mark.parametrize(("curve", "algorithm"), [("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512")])
def test_the_algorithm_of_an_ec_key_is_that_of_its_curve(curve: str, algorithm: str) -> None:
    given_key = ec_jwk(curve)
    (key,) = keys_of_jwks(jwks(given_key))
    assert key.algorithm == algorithm
    loaded = load_pem_public_key(key.pem.encode())
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    assert encoded(loaded.public_numbers().x) == given_key["x"]


def test_keys_that_do_not_sign_tokens_are_skipped() -> None:
    """Providers publish keys for encryption, and of newer types, in the same set."""
    other = {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "o"}
    keys = keys_of_jwks(
        jwks(
            rsa_jwk(use="enc", kid="encrypts"),
            other,
            ec_jwk(),
            rsa_jwk(use="sig"),
            rsa_jwk(),
            rsa_jwk(alg="PS256", kid="p"),
        )
    )
    assert [key.kid for key in keys] == ["e", "r"]


EXPOSED = "and must be considered exposed: create a new key pair, and put only its public key here"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not a JSON Web Key Set: Input data was truncated"),
        ("<html>", "it is not a JSON Web Key Set: JSON is malformed"),
        ('{"keys": 1}', "it is not a JSON Web Key Set: Expected `array`, got `int` - at `$.keys`"),
        ('{"issuer": "a"}', "it is not a JSON Web Key Set: Object missing required field `keys`"),
        ('{"keys": []}', "it contains no usable key: an RSA key for RS256"),
        (jwks(rsa_jwk(use="enc")), "it contains no usable key: an RSA key for RS256"),
        (jwks(rsa_jwk(WEAK)), "keys[0] is not a valid RSA key: it has 1024 bits; at least 2048 are required"),
        (jwks(ec_jwk(), rsa_jwk(n="!")), "keys[1] is not a valid RSA key: n is not base64url"),
        (jwks(rsa_jwk(e="")), "keys[0] is not a valid RSA key: e is missing"),
        (jwks(ec_jwk(x="AQAB")), "keys[0] is not a valid EC key: "),
        (jwks(ec_jwk(alg="ES512")), "keys[0] is not a valid EC key: alg is 'ES512', but its curve requires ES256"),
        (jwks(rsa_jwk(alg="HS256")), "it contains no usable key: an RSA key for RS256"),
        (jwks(rsa_jwk(alg="none"), rsa_jwk(alg="PS256")), "it contains no usable key: an RSA key for RS256"),
        (jwks(rsa_jwk(kid="ключ")), "keys[0] is not a valid RSA key: kid is not printable ASCII of at most 1024"),
        (jwks(rsa_jwk(d="AQAB")), f"keys[0] is a private or secret key {EXPOSED}"),
        (jwks({"kty": "oct", "k": "c2VjcmV0"}), f"keys[0] is a private or secret key {EXPOSED}"),
    ],
)
def test_a_set_that_cannot_be_used_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        keys_of_jwks(text)
    assert str(error.value).startswith(message)


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_no_text_causes_another_exception(text: str) -> None:
    for read in (keys_of_jwks, key_of_pem, certificates_of_pem, canonical_subject):
        try:
            read(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017 -- a text may also be valid


def test_a_key_of_tokens_is_read_and_has_a_stable_id() -> None:
    pem = pem_of(ec.generate_private_key(ec.SECP256R1()).public_key())
    key = key_of_pem(f"\n{pem}\n\n")
    assert (key.pem, key.algorithm, key.kid) == (pem, "ES256", key_id(pem))
    assert len(key.kid) == 16
    assert key_id(pem.replace("\n", "\r\n")) == key.kid


PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("key", "it is not a public key in PEM form (BEGIN PUBLIC KEY)"),
        (pem_of(RSA.public_key()), "it is not a P-256 key"),
        (pem_of(ec.generate_private_key(ec.SECP384R1()).public_key()), "it is not a P-256 key"),
        (pem_of(ed25519.Ed25519PrivateKey.generate().public_key()), "it is not a P-256 key"),
        (PRIVATE, f"it is a private key {EXPOSED}"),
    ],
    ids=["text", "RSA", "P-384", "Ed25519", "private"],
)
def test_another_kind_of_key_is_an_error(pem: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        key_of_pem(pem)
    assert str(error.value) == message


def a_certificate() -> str:
    name = x509.Name.from_rfc4514_string("CN=authority")
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, RSA.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_only_certificates_of_a_bundle_reach_the_policy() -> None:
    """Comments are common in bundles, and a key in one is a mistake that must not be copied."""
    certificate = a_certificate()
    assert certificates_of_pem(f"# Company\n{certificate}\n{PRIVATE}{certificate}") == certificate * 2
    with pytest.raises(ValueError, match=r"it contains no valid certificate in PEM form \(BEGIN CERTIFICATE\)"):
        certificates_of_pem(PRIVATE)


def test_spellings_of_a_subject_become_one() -> None:
    assert canonical_subject(r"CN=a\2cb,2.5.4.10=Shop") == canonical_subject(r"CN=a\,b,O=Shop") == r"CN=a\,b,O=Shop"
    with pytest.raises(ValueError, match=r"it is not a subject such as CN=checkout,O=Shop"):
        canonical_subject("CN=checkout, O=Shop")
    for subject in (r"CN=caf\C3\A9", f"O={'a' * 1023}"):
        with pytest.raises(ValueError, match=r"only subjects of printable ASCII with at most 1024 characters"):
            canonical_subject(subject)
