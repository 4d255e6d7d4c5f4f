"""Keys and tokens of `tritonctl token`: P-256 keys, and JSON Web Tokens signed with them (ES256).

Pure. Input: a private key and claims. Output: a token, as the proxy verifies it. A token has the claims `iss` (the
caller of one deployment), `aud` (the deployment), `jti` (its ID, which can be revoked), `iat` and `exp`.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triton_operator.api.names import audience, token_issuer
from triton_operator.resources.public_keys import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_COORDINATE_BYTES = 32
_ID_BYTES = 8


@dataclass(frozen=True)
class CallerIdentity:
    """A caller of one deployment, which has a key of its own."""

    namespace: str
    deployment: str
    name: str


@dataclass(frozen=True)
class IssuedToken:
    """What is known about a token after it was issued; times are seconds since 1970."""

    id: str
    issued: int
    expires: int


def new_key() -> str:
    """Return a new private key as PEM."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key(private: str) -> str:
    """Return the public key of a private key as PEM; raises ValueError if it is not a P-256 key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _load(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def issue(private: str, caller: CallerIdentity, now: int, seconds: int) -> tuple[str, IssuedToken]:
    """Return a token that is valid for `seconds`; raises ValueError for another kind of key."""
    issued = IssuedToken(secrets.token_hex(_ID_BYTES), now, now + seconds)
    header = {"alg": "ES256", "typ": "JWT", "kid": key_id(public_key(private))}
    claims = {
        "iss": token_issuer(caller.namespace, caller.deployment, caller.name),
        "aud": audience(caller.namespace, caller.deployment),
        "sub": caller.name,
        "jti": issued.id,
        "iat": issued.issued,
        "exp": issued.expires,
    }
    content = f"{_encoded(header)}.{_encoded(claims)}"
    return f"{content}.{_base64url(_signature(private, content.encode()))}", issued


def _load(private: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private.encode(), None)
    except (ValueError, TypeError) as error:  # A TypeError means that it is encrypted.
        raise ValueError("it is not an unencrypted private key in PEM form") from error
    if not (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)):
        raise ValueError("it is not a P-256 key")  # noqa: TRY004 -- the content is wrong, not a type
    return key


def _signature(private: str, content: bytes) -> bytes:
    """The signature as RFC 7518 writes it: both numbers in 32 bytes each."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = decode_dss_signature(_load(private).sign(content, ECDSA(SHA256())))
    return b"".join(number.to_bytes(_COORDINATE_BYTES, "big") for number in numbers)


def _encoded(part: Mapping[str, object]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
