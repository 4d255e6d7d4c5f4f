"""Sign tokens as an issuer does, also ones that no issuer would sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from triton_operator.triton.proxy_contract.policy import PublicKey

AUDIENCE = "modeldeployments.triton-operator.io/shop/digits"


class Signer:
    """A key pair; `algorithm` is ES256 or RS256."""

    def __init__(self, algorithm: str = "ES256", kid: str = "key-1") -> None:
        self.algorithm = algorithm
        self.kid = kid
        self._elliptic = ec.generate_private_key(ec.SECP256R1())
        self._rsa = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else None
        public = (self._rsa or self._elliptic).public_key()
        self.pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def public(self) -> PublicKey:
        """The key as a policy contains it."""
        return PublicKey(self.kid, self.algorithm, self.pem)

    def jwk(self) -> dict[str, str]:
        """The public key of ES256 in a JSON Web Key Set."""
        numbers = self._elliptic.public_key().public_numbers()
        point = {"x": encode(numbers.x.to_bytes(32)), "y": encode(numbers.y.to_bytes(32))}
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, **point}

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of `issuer` for AUDIENCE that is valid for a minute; a claim that is None is left out."""
        now = int(time.time())
        content = {"iss": "issuer", "sub": "robot", "aud": [AUDIENCE], "exp": now + 60, "nbf": now, "jti": "id-1"}
        content |= claims
        signed = self.signed_part({"alg": self.algorithm, "kid": self.kid, **(header or {})}, content)
        return f"{signed}.{encode(self.signature(signed.encode()))}"

    @staticmethod
    def signed_part(header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Header and claims."""
        parts = [{name: value for name, value in part.items() if value is not None} for part in (header, claims)]
        return ".".join(encode(json.dumps(part).encode()) for part in parts)

    def signature(self, content: bytes) -> bytes:
        """Sign the bytes."""
        if self._rsa:
            return self._rsa.sign(content, padding.PKCS1v15(), hashes.SHA256())
        first, second = utils.decode_dss_signature(self._elliptic.sign(content, ec.ECDSA(hashes.SHA256())))
        return first.to_bytes(32) + second.to_bytes(32)

    def with_shared_secret(self, token: str) -> str:
        """The token signed again with HS256, with the public key as the secret."""
        signed = self.signed_part({"alg": "HS256", "kid": self.kid}, claims_of(token))
        return f"{signed}.{encode(hmac.new(self.pem.encode(), signed.encode(), hashlib.sha256).digest())}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token."""
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def encode(content: bytes) -> str:
    """Base64 for URLs without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
