"""Convert public keys and certificates from users and the API server to the form that the proxy reads.

Pure. Input: a JSON Web Key Set (RFC 7517) or PEM. Output: PublicKeys, or PEM that contains nothing but certificates.
Invalid input, and a private key in place of a public one, raise an error that states the reason. Keys in a set that the
proxy does not support are skipped.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import msgspec

from triton_operator.triton.proxy_contract.policy import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LONGEST_TEXT = 1024

RSA_BITS = 2048
"""The minimum, as in RFC 7518."""

_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512"})
"""HAProxy 2.6 does not verify PS256 and its like."""

_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
"""The only algorithm that RFC 7518 allows for the keys of each curve."""

_EXPOSED = "and must be considered exposed: create a new key pair, and put only its public key here"


class _Key(msgspec.Struct):
    """The members of a JSON Web Key that verify signatures, and `d` and `k`, which only a private or secret key has."""

    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""
    d: str | None = None
    k: str | None = None


class _KeySet(msgspec.Struct):
    keys: list[_Key]


_decode_key_set = msgspec.json.Decoder(_KeySet).decode


def keys_of_jwks(text: str) -> tuple[PublicKey, ...]:
    """The public keys that verify tokens; raises ValueError with the reason if a key is invalid or none is usable.

    Skips keys for encryption, and keys of a type or algorithm that the proxy does not support (such as Ed25519).
    """
    try:
        found = _decode_key_set(text).keys
    except msgspec.DecodeError as error:
        raise ValueError(f"it is not a JSON Web Key Set: {error}") from error
    keys = []
    for number, key in enumerate(found):
        if key.d is not None or key.k is not None:
            raise ValueError(f"keys[{number}] is a private or secret key {_EXPOSED}")
        if not _is_supported(key):
            continue
        try:
            keys.append(_public_key(key))
        except ValueError as error:
            raise ValueError(f"keys[{number}] is not a valid {key.kty} key: {error}") from error
    if not keys:
        raise ValueError(
            "it contains no usable key: an RSA key for RS256, RS384 or RS512, or an EC key for ES256, ES384 or ES512"
        )
    return tuple(dict.fromkeys(keys))


def key_of_pem(pem: str) -> PublicKey:
    """A P-256 key for the tokens of `tritonctl token`; raises ValueError with the reason."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "PRIVATE KEY" in pem:
        raise ValueError(f"it is a private key {_EXPOSED}")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("it is not a public key in PEM form (BEGIN PUBLIC KEY)") from error
    if not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        raise ValueError("it is not a P-256 key")  # noqa: TRY004 -- the content is wrong, not a type
    text = _pem(key)
    return PublicKey(kid=key_id(text), algorithm="ES256", pem=text)


def key_id(pem: str) -> str:
    """The key ID (`kid`) in tokens of `tritonctl token`: the start of the SHA-256 of the key in DER form."""
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    return hashlib.sha256(base64.b64decode(body)).hexdigest()[:16]


def certificates_of_pem(text: str) -> str:
    """The certificates in a PEM bundle without anything else; raises ValueError with the reason."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError("it contains no valid certificate in PEM form (BEGIN CERTIFICATE)") from error
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def canonical_subject(text: str) -> str:
    """The subject of a certificate in RFC 4514's form as `cryptography` writes it; raises ValueError."""
    from cryptography import x509

    try:
        subject = x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError as error:
        raise ValueError("it is not a subject such as CN=checkout,O=Shop (without spaces after commas)") from error
    if not is_printable(subject):
        raise ValueError(
            f"the proxy can compare only subjects of printable ASCII with at most {LONGEST_TEXT} characters"
        )
    return subject


def is_printable(text: str) -> bool:
    """Whether the proxy accepts this text. It rejects a whole policy that contains one unacceptable text."""
    return text.isascii() and text.isprintable() and len(text) <= LONGEST_TEXT


def _is_supported(key: _Key) -> bool:
    if key.kty == "EC":
        return key.use == "sig" and key.crv in _CURVES
    return key.use == "sig" and key.kty == "RSA" and (key.alg or "RS256") in _RSA_ALGORITHMS


def _public_key(key: _Key) -> PublicKey:
    """A key of a supported type and algorithm; raises ValueError."""
    if not is_printable(key.kid):
        raise ValueError(f"kid is not printable ASCII of at most {LONGEST_TEXT} characters")
    if key.kty == "EC":
        algorithm = _CURVES[key.crv]
        if key.alg not in {"", algorithm}:
            raise ValueError(f"alg is {key.alg!r}, but its curve requires {algorithm}")
        return PublicKey(key.kid, algorithm, _pem(_ec_key(key)))
    return PublicKey(key.kid, key.alg or "RS256", _pem(_rsa_key(key)))


def _rsa_key(key: _Key) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    numbers = RSAPublicNumbers(e=_integer(key.e, "e"), n=_integer(key.n, "n"))
    if numbers.n.bit_length() < RSA_BITS:
        raise ValueError(f"it has {numbers.n.bit_length()} bits; at least {RSA_BITS} are required")
    return numbers.public_key()


def _ec_key(key: _Key) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        SECP256R1,
        SECP384R1,
        SECP521R1,
        EllipticCurvePublicNumbers,
    )

    curves: dict[str, EllipticCurve] = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}
    return EllipticCurvePublicNumbers(_integer(key.x, "x"), _integer(key.y, "y"), curves[key.crv]).public_key()


def _integer(text: str, member: str) -> int:
    """A Base64urlUInt of RFC 7518."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise ValueError(f"{member} is not base64url") from error
    if not content:
        raise ValueError(f"{member} is missing")
    return int.from_bytes(content, "big")


def _pem(key: RSAPublicKey | EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
