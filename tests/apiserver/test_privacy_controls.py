"""The privacy controls of a deployment on a real API server: policies of others, and the result of the probe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.api_client import Api
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, encode

Object = dict[str, Any]

LABEL = "triton-operator.io/model-deployment"


def shows(**states: str) -> Callable[[list[Object]], bool]:
    """Whether the only deployment reports these states of controls."""

    def look(bodies: list[Object]) -> bool:
        controls = bodies[0].get("status", {}).get("privacy", {}).get("controls", [])
        return states.items() <= {each["name"]: each["state"] for each in controls}.items()

    return look


def a_policy(selector: Object) -> Object:
    """A policy that allows connections to the resolver, with labels as if it were the operator's."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-dns", "labels": {"app.kubernetes.io/managed-by": "triton-operator"}},
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Egress"],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
    }


@pytest.mark.timeout(900)
async def test_a_policy_of_somebody_else_and_the_probe_are_reported_as_they_change(
    kubeconfig: Path, namespace: str, api: Api, tmp_path: Path
) -> None:
    policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    config_maps = f"/api/v1/namespaces/{namespace}/configmaps"
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1)
            await world.until(shows(OtherPolicies="Enforced", NetworkEnforcement="Unknown"), "the first status", 60)

            api.create(policies, a_policy({}))
            await world.until(shows(OtherPolicies="NotEnforced"), "the policy is reported", 60)
            excluding = {"matchExpressions": [{"key": LABEL, "operator": "DoesNotExist"}]}
            api.merge(f"{policies}/allow-dns", {"spec": {"podSelector": excluding}})
            await world.until(shows(OtherPolicies="Enforced"), "the policy does not select the pods", 60)
            api.merge(f"{policies}/allow-dns", {"spec": {"podSelector": {"matchExpressions": None}}})
            await world.until(shows(OtherPolicies="NotEnforced"), "the policy is reported again", 60)
            api.delete(f"{policies}/allow-dns")
            await world.until(shows(OtherPolicies="Enforced"), "the policy is gone", 60)

            now = datetime.now(UTC).isoformat(timespec="seconds")
            probe = NetworkProbe(now, "v1.36.1", ("node-1",), ingress=True, egress=True)
            metadata = {"name": "triton-operator-network-probe"}
            config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            api.create(config_maps, {**config_map, "data": {RESULT_KEY: encode(probe)}})
            await world.until(shows(NetworkEnforcement="Enforced"), "the probe is reported", 60)
