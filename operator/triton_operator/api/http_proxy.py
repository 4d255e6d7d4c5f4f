"""The HTTP proxy through which models are fetched: `spec.prepare.httpProxy`, and which servers are reached without it.

Pure. `resources` renders it, and `prepare` and the network policy of a cache Job decide with it. The rules are those
of `NO_PROXY` in curl and in obstore, so that S3 and HTTP sources behave in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from triton_operator.api.references import SecretName
from triton_operator.api.struct import Struct

EVERYTHING = "*"
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32")
"""Clouds give pods the credentials of their ServiceAccount at these addresses, which no proxy can reach."""


class HttpProxy(Struct, frozen=True):
    """A proxy, `http://HOST:PORT`, for all servers but those in `no_proxy`; an empty `url` means no proxy."""

    url: str
    no_proxy: tuple[str, ...] = ()
    credentials_secret_ref: SecretName | None = None


def is_direct(url: str, no_proxy: Iterable[str]) -> bool:
    """Whether the server of this URL is reached without the proxy."""
    host = _host_of(url)
    return any(_covers(entry, host) for entry in (*no_proxy, *LINK_LOCAL))


def _host_of(url: str) -> str:
    """The name or address in lower case; "" if the URL is invalid, which whoever connects reports."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _covers(entry: str, host: str) -> bool:
    """Whether the entry is the host, a domain that contains it, or a network that contains it."""
    if entry == EVERYTHING:
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # One of both is a name.
        domain = entry.removeprefix(".").lower()
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
