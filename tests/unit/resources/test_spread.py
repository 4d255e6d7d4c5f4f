"""Replicas preferably run apart, whatever their number, unless the user decides about it."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.names import selector_labels
from triton_operator.resources.build import render

CACHED: dict[str, Any] = {"modelRepository": {"s3": {"bucket": "models"}}}
NODES: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}


def deployment_of(**spec: Any) -> dict[str, Any]:
    (deployment,) = [each for each in render(a_deployment(**spec), SETTINGS) if each["kind"] == "Deployment"]
    kubernetes_validate.validate(deployment, "1.35", strict=True)
    return deployment


def pod_of(**spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = deployment_of(**spec)["spec"]["template"]["spec"]
    return pod


def spread_of(pod: dict[str, Any]) -> list[str]:
    """The labels of nodes over which the replicas are spread."""
    anti_affinity = pod.get("affinity", {}).get("podAntiAffinity", {})
    preferred = anti_affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    return [each["podAffinityTerm"]["topologyKey"] for each in preferred]


def test_replicas_preferably_run_on_different_nodes_and_in_different_zones() -> None:
    """Only pods of the same deployment and the same revision count, and no pod waits."""
    pod = pod_of(replicas=3)
    assert spread_of(pod) == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert set(pod["affinity"]["podAntiAffinity"]) == {"preferredDuringSchedulingIgnoredDuringExecution"}
    for each in pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]:
        assert each["podAffinityTerm"]["labelSelector"] == {"matchLabels": selector_labels("digits")}
        assert each["podAffinityTerm"]["matchLabelKeys"] == ["pod-template-hash"]


def test_the_template_does_not_depend_on_the_number_of_replicas() -> None:
    """Otherwise scaling from 1 to 2 would restart the pod."""
    one, three, automatic = (
        deployment_of(**spec)["spec"]["template"]
        for spec in ({"replicas": 1}, {"replicas": 3}, {"autoscaling": {"maxReplicas": 5}})
    )
    assert one == three == automatic


@pytest.mark.parametrize(
    "scheduling",
    [
        {"topologySpreadConstraints": []},
        {
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
            ]
        },
        {"affinity": {"podAntiAffinity": {}}},
    ],
    ids=["none", "constraints", "anti-affinity"],
)
def test_what_the_user_sets_replaces_the_preference(scheduling: dict[str, Any]) -> None:
    pod = pod_of(scheduling=scheduling)
    assert spread_of(pod) == []
    assert pod.get("affinity") == scheduling.get("affinity")
    assert pod.get("topologySpreadConstraints", []) == scheduling.get("topologySpreadConstraints", [])


@pytest.mark.parametrize(
    "pod",
    [
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway"}]},
        {"affinity": {"podAntiAffinity": {}}},
    ],
)
def test_what_the_user_sets_in_the_template_replaces_the_preference_too(pod: dict[str, Any]) -> None:
    assert spread_of(pod_of(podTemplate={"spec": pod})) == []
    assert len(spread_of(pod_of(podTemplate={"spec": {"affinity": {"nodeAffinity": NODES}}}))) == 2


def test_another_affinity_of_the_user_is_kept() -> None:
    pod = pod_of(scheduling={"affinity": {"nodeAffinity": NODES}})
    assert pod["affinity"]["nodeAffinity"] == NODES
    assert len(spread_of(pod)) == 2


@pytest.mark.parametrize(
    ("modes", "labels"),
    [([], 0), (["ReadWriteOnce"], 0), (["ReadWriteMany"], 2), (["ReadWriteOnce", "ReadOnlyMany"], 2)],
)
def test_replicas_that_must_share_a_node_are_not_spread(modes: list[str], labels: int) -> None:
    """A cache that only one node can mount."""
    assert len(spread_of(pod_of(**CACHED, cache={"size": "1Gi", "accessModes": modes}))) == labels


def budgets_of(**spec: Any) -> list[dict[str, Any]]:
    return [each["spec"] for each in render(a_deployment(**spec), SETTINGS) if each["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize("spec", [{"replicas": 0}, {"replicas": 1}, {"replicas": 3, "suspend": True}])
def test_a_single_replica_has_no_disruption_budget(spec: dict[str, Any]) -> None:
    """It would block a drain forever."""
    assert budgets_of(**spec) == []


@pytest.mark.parametrize("spec", [{"replicas": 2}, {"autoscaling": {"minReplicas": 1, "maxReplicas": 5}}])
def test_a_disruption_budget_permits_one_eviction_at_any_number_of_replicas(spec: dict[str, Any]) -> None:
    """A minimum of available pods would block a drain while an autoscaler requests one replica."""
    (budget,) = budgets_of(**spec)
    assert (budget["maxUnavailable"], "minAvailable" in budget) == (1, False)
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
