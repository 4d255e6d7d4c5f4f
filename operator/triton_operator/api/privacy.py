"""The types of `spec.privacy`: the profile, network peers, TLS, callers, and the audit log.

`spec` has one field of type Privacy. The CRD rejects invalid combinations; `reconcile.validate` checks the rest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from triton_operator.api.references import ConfigMapKey
from triton_operator.api.resources import Resources
from triton_operator.api.struct import Struct


class Profile(StrEnum):
    """The default restrictions on traffic and on Triton's APIs."""

    OPEN = "Open"
    PRIVATE = "Private"
    AIR_GAPPED = "AirGapped"

    @property
    def is_private(self) -> bool:
        """Whether traffic is restricted; AirGapped has all restrictions of Private."""
        return self is not Profile.OPEN


class TLSMode(StrEnum):
    """The source of the serving certificates.

    With Managed, Secret and CertManager, the sidecar `proxy` terminates TLS. With External, a service mesh encrypts the
    traffic, which the operator cannot see.
    """

    MANAGED = "Managed"
    SECRET = "Secret"  # noqa: S105 -- the name of a mode, not a secret
    CERT_MANAGER = "CertManager"
    EXTERNAL = "External"
    DISABLED = "Disabled"


class Audit(StrEnum):
    """The requests that the proxy logs."""

    ALL = "All"
    REFUSED = "Refused"
    OFF = "Off"


class Network(Struct, frozen=True):
    """Peers that may connect to the serving pods, as NetworkPolicyPeers of Kubernetes."""

    allow_from: tuple[dict[str, Any], ...] = ()
    metrics_from: tuple[dict[str, Any], ...] = ()


class SecretRef(Struct, frozen=True):
    """A Secret of the deployment's namespace."""

    name: str


class IssuerRef(Struct, frozen=True):
    """An issuer of cert-manager; `group` is cert-manager's own unless it is an external issuer."""

    name: str
    kind: str = "Issuer"
    group: str = "cert-manager.io"


class CertManager(Struct, frozen=True):
    """Who signs the Certificate that the operator creates for cert-manager."""

    issuer_ref: IssuerRef


class TLS(Struct, frozen=True):
    """Encryption of traffic to the serving pods; `mode` None is the default of the profile."""

    mode: TLSMode | None = None
    secret_ref: SecretRef | None = None
    cert_manager: CertManager | None = None


class ServiceAccountCaller(Struct, frozen=True):
    """A caller that presents a token of this ServiceAccount; `namespace` None is that of the deployment."""

    name: str
    namespace: str | None = None


class JWTCaller(Struct, frozen=True):
    """A caller that presents a JWT of an OIDC provider: one of `audiences`, signed by a key of `jwks`.

    `jwks` is a JSON Web Key Set as text, `jwks_config_map_ref` a ConfigMap with one. `claims` are further claims that
    the token must contain with exactly these values.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks: str | None = None
    jwks_config_map_ref: ConfigMapKey | None = None
    claims: dict[str, str] | None = None


class CertificateCaller(Struct, frozen=True):
    """A caller that presents a client certificate with this subject (RFC 4514) or this DNS or URI name."""

    subject: str | None = None
    san: str | None = None


class TokenCaller(Struct, frozen=True):
    """A caller that presents a token of `tritonctl token create`, signed by one of `public_keys` (PEM, P-256).

    `revoked` are the IDs (`jti`) of tokens that are rejected although they have not expired.
    """

    public_keys: tuple[str, ...]
    revoked: tuple[str, ...] = ()


class ClientCAs(Struct, frozen=True):
    """The authorities of client certificates: a PEM bundle in a ConfigMap of the deployment's namespace."""

    config_map_ref: ConfigMapKey


class PermittedClient(Struct, frozen=True):
    """One caller: exactly one of the four ways to authenticate; `models` empty means all models."""

    name: str
    service_account: ServiceAccountCaller | None = None
    jwt: JWTCaller | None = None
    certificate: CertificateCaller | None = None
    token: TokenCaller | None = None
    models: tuple[str, ...] = ()
    requests_per_second: int | None = None


class Proxy(Struct, frozen=True):
    """The sidecar that terminates TLS; its resources default to a part of those of the Triton container."""

    resources: Resources = Resources()


class Privacy(Struct, frozen=True):
    """Who may connect to the serving pods, and how. `clients` None admits all that the network policy admits."""

    profile: Profile = Profile.PRIVATE
    network: Network = Network()
    tls: TLS = TLS()
    clients: tuple[PermittedClient, ...] | None = None
    client_cas: ClientCAs | None = None
    audit: Audit | None = None
    proxy: Proxy = Proxy()
