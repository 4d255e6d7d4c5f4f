"""NetworkPolicy of a cache Job under a private profile: egress to DNS and the sources only, and no ingress."""

from __future__ import annotations

from typing import Any

from triton_operator.api.cache import Cache
from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_JOB
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.egress import port_of, to_resolvers
from triton_operator.resources.fetch_proxy import server_to_fetch_from
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.sources import cached_sources


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
            "egress": [to_resolvers(), _to_sources(deployment.spec, cache)],
        },
    }


def _to_sources(spec: Spec, cache: Cache) -> Manifest:
    """The API server drops an empty list of peers, and a rule without peers allows all; so omit it explicitly."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"} for port in egress_ports(spec, cache)]}
    if cache.egress.cidrs:
        rule["to"] = [{"ipBlock": {"cidr": cidr}} for cidr in cache.egress.cidrs]
    return rule


def egress_ports(spec: Spec, cache: Cache) -> list[int]:
    """The ports that the Job may connect to: `egress.ports`, or by default those of its sources, or of their proxy."""
    servers = (server_to_fetch_from(spec, source.repository) for source in cached_sources(spec))
    return list(cache.egress.ports) or sorted(set(map(port_of, servers)))
