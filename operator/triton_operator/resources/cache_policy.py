"""NetworkPolicy of a cache Job under a private profile: egress to DNS and the sources only, and no ingress."""

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
"""A policy matches the ports on which a Service's pods listen; unprivileged resolvers, as in OpenShift, use 5353."""
_RESOLVERS: list[Manifest] = [
    {"namespaceSelector": {}},
    # A resolver on the node, such as NodeLocal DNSCache, has a link-local address.
    {"ipBlock": {"cidr": "169.254.0.0/16"}},
]


def build_cache_policy(deployment: ModelDeployment, name: str, cache: Cache) -> Manifest:
    """The policy of the Job `name`. Without `cidrs`, egress to any address is open; PrivacyEnforced reports that."""
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
    """The API server drops an empty list of peers, and a rule without peers allows all; so omit it explicitly."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"} for port in egress_ports(spec, cache)]}
    if cache.egress.cidrs:
        rule["to"] = [{"ipBlock": {"cidr": cidr}} for cidr in cache.egress.cidrs]
    return rule


def egress_ports(spec: Spec, cache: Cache) -> list[int]:
    """The ports that the Job may connect to: `egress.ports`, or by default the ports in the URLs of its sources."""
    addresses = (_address(source.repository) for source in cached_sources(spec))
    return list(cache.egress.ports) or sorted({_port(address) for address in addresses})


def _address(repository: ModelRepository) -> str:
    """The URL of the repository's server; Amazon S3 uses HTTPS."""
    if repository.http:
        return repository.http.url
    return (repository.s3 and repository.s3.endpoint) or "https://"


def _port(url: str) -> int:
    """The port in a URL, or the default of its scheme; the Job reports an invalid port or host."""
    usual = _HTTP if url.startswith("http://") else _HTTPS
    try:
        return urlsplit(url).port or usual
    except ValueError:
        return usual
