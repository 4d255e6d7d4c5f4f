"""NetworkPolicy of the profile Private: no egress from serving pods, and ingress from the configured peers only.

An empty peer list renders no rule, because Kubernetes stores a rule with `from: []` as a rule without `from`, which
allows all peers.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_HTTPS, PORT_METRICS, selector_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision


def build_network_policy(deployment: ModelDeployment, revision: Revision) -> Manifest:
    """The deployment's policy. It sets `egress: []`, so that the operator owns the field and reverts added rules."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "spec": {
            "podSelector": {"matchLabels": selector_labels(deployment.metadata.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _ingress(deployment, revision),
            "egress": [],
        },
    }


def _ingress(deployment: ModelDeployment, revision: Revision) -> list[dict[str, Any]]:
    """No rule allows the port for health checks: the kubelet, which the policy does not restrict, is its only user."""
    network = deployment.spec.privacy.network
    ports = _ports(PORT_HTTPS) if revision.terminates_tls else _ports(PORT_HTTP, PORT_GRPC)
    same_namespace: dict[str, Any] = {"podSelector": {}}
    rules = [{"from": [same_namespace, *network.allow_from], "ports": ports}]
    if network.metrics_from:
        rules.append({"from": list(network.metrics_from), "ports": _ports(PORT_METRICS)})
    return rules


def _ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"port": number, "protocol": "TCP"} for number in numbers]
