"""The issuer of the cluster's ServiceAccount tokens and its public keys, as the API server publishes them.

Every ServiceAccount may read both documents (ClusterRole `system:service-account-issuer-discovery`). The API server
serves the keys on this path even if its discovery document names another address.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from triton_operator.cluster.client import decode_response

if TYPE_CHECKING:
    from triton_operator.cluster.client import ApiClient
    from triton_operator.triton.proxy_contract.policy import Issuer

DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
KIND = "OpenID"
"""In metrics and messages."""


class PublishedIssuer(NamedTuple):
    """The name of the issuer (`iss`), and its JSON Web Key Set as text."""

    name: str
    keys: str


class _Discovery(msgspec.Struct):
    issuer: str


_decode = msgspec.json.Decoder(_Discovery).decode


async def read_issuer(client: ApiClient) -> PublishedIssuer:
    """Read both documents; raises ClusterError."""
    discovery = decode_response(_decode, await client.request("GET", DISCOVERY_PATH, kind=KIND))
    keys = await client.request("GET", KEYS_PATH, kind=KIND)
    return PublishedIssuer(discovery.issuer, keys.decode(errors="replace"))


class IssuerCache:
    """The issuer as last read, None before that; `needed` starts to read it, and `known` is set once it is read."""

    def __init__(self) -> None:
        self.issuer: Issuer | None = None
        self.needed = asyncio.Event()
        self.known = asyncio.Event()

    def put(self, issuer: Issuer) -> bool:
        """Store the issuer; returns whether it has changed."""
        is_changed = issuer != self.issuer
        self.issuer = issuer
        self.known.set()
        return is_changed
