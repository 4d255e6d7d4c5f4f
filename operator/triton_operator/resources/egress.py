"""Parts of NetworkPolicies for outgoing connections, which serving pods and cache Jobs share. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from triton_operator.resources.metadata import Manifest

_HTTPS, _HTTP = 443, 80
_DNS_PORTS = (53, 5353)
"""A policy matches the ports on which a Service's pods listen; unprivileged resolvers, as in OpenShift, use 5353."""
_RESOLVERS: list[Manifest] = [
    {"namespaceSelector": {}},
    # A resolver on the node, such as NodeLocal DNSCache, has a link-local address.
    {"ipBlock": {"cidr": "169.254.0.0/16"}},
]


def to_resolvers() -> Manifest:
    """A rule that allows DNS."""
    ports = [{"port": port, "protocol": protocol} for port in _DNS_PORTS for protocol in ("UDP", "TCP")]
    return {"to": _RESOLVERS, "ports": ports}


def port_of(url: str) -> int:
    """The port in a URL, or the default of its scheme; who connects reports an invalid port or host."""
    usual = _HTTP if url.startswith("http://") else _HTTPS
    try:
        return urlsplit(url).port or usual
    except ValueError:
        return usual
