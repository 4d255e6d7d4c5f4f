"""NetworkPolicy of private profiles: ingress from the configured peers only, and egress to nothing but a vault.

An empty peer list renders no rule, because Kubernetes stores a rule with `from: []` as a rule without `from`, which
allows all peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from triton_operator.api.names import PORT_METRICS, serving_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.vault import vault_egress


def build_network_policy(
    deployment: ModelDeployment, ports: Sequence[dict[str, Any]], *, with_canary: bool = False
) -> Manifest:
    """The deployment's policy for these ports of the containers.

    Without a vault, it sets `egress: []`, so that the operator owns the field and reverts added rules.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "spec": {
            "podSelector": {"matchLabels": serving_labels(deployment.metadata.name, with_canary=with_canary)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _ingress(deployment, _ports(*(port["port"] for port in ports))),
            "egress": vault_egress(deployment.spec),
        },
    }


def _ingress(deployment: ModelDeployment, ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No rule allows the port for health checks: the kubelet, which the policy does not restrict, is its only user."""
    network = deployment.spec.privacy.network
    same_namespace: dict[str, Any] = {"podSelector": {}}
    rules = [{"from": [same_namespace, *network.allow_from], "ports": ports}]
    if network.metrics_from:
        rules.append({"from": list(network.metrics_from), "ports": _ports(PORT_METRICS)})
    return rules


def _ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"port": number, "protocol": "TCP"} for number in numbers]
