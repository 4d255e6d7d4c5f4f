"""The policy of the sidecar `proxy`: which callers and APIs it admits, and its limits.

`resources` writes a ProxyPolicy into the ConfigMap `<name>-proxy`, and `proxy` reads it again whenever the mounted file
changes. It contains public keys and names only. A pod can run an older `proxy` than the operator, so an unknown field
is an error: if it were ignored, a restriction could be lost. `proxy` then keeps the last policy that it understood.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.privacy import Audit
from triton_operator.api.spec import Endpoint
from triton_operator.api.struct import Struct

POLICY_DIR = "/etc/triton-proxy/policy"
POLICY_FILE = "policy.json"
"""Name of the key in the ConfigMap and of the file in POLICY_DIR that contain a ProxyPolicy."""

TLS_DIR = "/etc/triton-proxy/tls"
CERTIFICATE_FILE = "tls.crt"
"""In TLS_DIR: the serving certificate with its chain, PEM."""
PRIVATE_KEY_FILE = "tls.key"

WORK_DIR = "/run/triton-proxy"
"""A memory volume: the rendered configuration, keys and sockets."""


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """A claim that a token must contain; `name` has one level or is a JSON path, without `$.`."""

    name: str
    value: str


class PublicKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key that signs tokens: `pem` is a SubjectPublicKeyInfo, `algorithm` the only `alg` accepted with it.

    `kid` "" matches tokens without a key ID only.
    """

    kid: str
    algorithm: str
    pem: str


class Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    """An issuer of tokens (`iss`), its keys, and the IDs of revoked tokens."""

    name: str
    keys: tuple[PublicKey, ...]
    revoked: tuple[str, ...] = ()


class TokenRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A token admits the caller if it is of `issuer`, for one of `audiences`, and contains all `claims`."""

    issuer: str
    audiences: tuple[str, ...]
    claims: tuple[Claim, ...] = ()


class CertificateRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A verified client certificate admits the caller if its subject or one of its names is equal."""

    subject: str = ""
    san: str = ""


class Caller(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `spec.privacy.clients`; exactly one of `token` and `certificate` is set.

    `models` empty means all models. `requests_per_second` 0 means no limit.
    """

    name: str
    token: TokenRule | None = None
    certificate: CertificateRule | None = None
    models: tuple[str, ...] = ()
    requests_per_second: int = 0


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for one connection or request; sizes in bytes, times in seconds."""

    max_body_bytes: int = 64 << 20
    max_connection_age_seconds: int = 300


class ProxyPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """The policy. With `callers` None, every client that the network policy admits can call; if empty, no client can.

    `client_cas` is the PEM bundle that verifies client certificates, "" if no caller has one. The serving certificate
    must be valid for one of `server_names`; without any, every certificate is accepted.
    """

    callers: tuple[Caller, ...] | None = None
    issuers: tuple[Issuer, ...] = ()
    client_cas: str = ""
    server_names: tuple[str, ...] = ()
    open_endpoints: tuple[Endpoint, ...] = ()
    limits: Limits = Limits()
    audit: Audit = Audit.ALL


def encode(policy: ProxyPolicy) -> str:
    """The content of POLICY_FILE; deterministic."""
    return msgspec.json.encode(policy, order="sorted").decode()


def decode(data: bytes) -> ProxyPolicy:
    """Read POLICY_FILE; raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=ProxyPolicy)
