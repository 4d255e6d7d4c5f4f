"""NetworkPolicy of a cache's Job under profile Private: DNS and the named addresses, nobody comes in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from triton_operator.api.cache import Cache
from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_JOB
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.sources import cached_sources

_HTTPS, _HTTP = 443, 80
_DNS_PORTS = (53, 5353)
"""Of a Service's pods a policy sees the ports that they listen on: resolvers without privileges, as OpenShift's, take
5353."""
_RESOLVERS: list[Manifest] = [
    {"namespaceSelector": {}},
    # A resolver on the node itself, as NodeLocal DNSCache is, has a link-local address.
    {"ipBlock": {"cidr": "169.254.0.0/16"}},
]


def build_cache_policy(deployment: ModelDeployment, name: str, cache: Cache) -> Manifest:
    """The policy of the Job `name`. Without addresses its ports are open to everywhere, see PrivacyEnforced."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(deployment, name),
        "spec": {
            "podSelector": {"matchLabels": {LABEL_DEPLOYMENT: deployment.metadata.name, LABEL_JOB: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [_to_resolvers(), _to_sources(deployment.spec, cache)],
        },
    }


def _to_resolvers() -> Manifest:
    ports = [{"port": port, "protocol": protocol} for port in _DNS_PORTS for protocol in ("UDP", "TCP")]
    return {"to": _RESOLVERS, "ports": ports}


def _to_sources(spec: Spec, cache: Cache) -> Manifest:
    """An empty list of peers would be stored as no list, which is open: so it is left out in plain sight."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"} for port in egress_ports(spec, cache)]}
    if cache.egress.cidrs:
        rule["to"] = [{"ipBlock": {"cidr": cidr}} for cidr in cache.egress.cidrs]
    return rule


def egress_ports(spec: Spec, cache: Cache) -> list[int]:
    """The ports that the Job may connect to: the named ones, else those in its sources' addresses."""
    addresses = (_address(source.repository) for source in cached_sources(spec))
    return list(cache.egress.ports) or sorted({_port(address) for address in addresses})


def _address(repository: ModelRepository) -> str:
    """The URL of what is fetched; Amazon's own servers are https."""
    if repository.http:
        return repository.http.url
    return (repository.s3 and repository.s3.endpoint) or "https://"


def _port(url: str) -> int:
    """The port in a URL, or that of its scheme; a port that is none is for the Job to complain about."""
    parts = urlsplit(url)
    usual = _HTTP if parts.scheme == "http" else _HTTPS
    try:
        return parts.port or usual
    except ValueError:
        return usual
