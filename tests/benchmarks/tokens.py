"""Sign a token of a ServiceAccount as an API server does: RS256, a key of 2048 bits, and the claims of a bound token.

Output: the token, and the public key that verifies it.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "digits.default.triton-operator.io"
SUBJECT = "system:serviceaccount:default:caller"
KEY_ID = "benchmark"
_LIFETIME_SECONDS = 3600


class SignedToken(NamedTuple):
    """A token, and the public key of its issuer as PEM."""

    token: str
    public_key: str


def sign_token() -> SignedToken:
    """Create a key and a token that is valid for an hour."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    header = {"alg": "RS256", "kid": KEY_ID}
    names = {"name": "caller", "uid": "6f4b1c1e-0000-4000-8000-000000000001"}
    node = {"name": "node-1", "uid": "6f4b1c1e-0000-4000-8000-000000000002"}
    claims = {
        "aud": [AUDIENCE],
        "exp": now + _LIFETIME_SECONDS,
        "iat": now,
        "iss": ISSUER,
        "jti": "6f4b1c1e-0000-4000-8000-000000000003",
        "kubernetes.io": {"namespace": "default", "node": node, "pod": names, "serviceaccount": names},
        "nbf": now,
        "sub": SUBJECT,
    }
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SignedToken(f"{signed}.{_base64(signature)}", public.decode())


def _encoded(part: Mapping[str, object]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
