"""The two Services with the fields of `spec.service`, and what stays on the ports of the containers."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import LOAD_BALANCER, SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.api.names import LABEL_INSTANCE, child_labels
from triton_operator.resources.build import render
from triton_operator.resources.revision import inputs_hash

Manifest = dict[str, Any]

OUTSIDE: Manifest = {
    **LOAD_BALANCER,
    "annotations": {"example.com/scheme": "internal"},
    "ports": {
        "http": {"name": "web", "port": 80},
        "grpc": {"port": 9000, "nodePort": 30900},
        "https": {"name": "web-tls", "port": 443},
    },
}


def children_of(service: Manifest, **spec: Any) -> dict[tuple[str, str], Manifest]:
    children = render(a_deployment(service=service, **spec), SETTINGS)
    return {(child["kind"], child["metadata"]["name"]): child for child in children}


def test_the_plain_service_has_every_field() -> None:
    service = children_of(OUTSIDE)["Service", "digits"]
    kubernetes_validate.validate(service, "1.35", strict=True)
    passed = OUTSIDE.keys() - {"labels", "annotations", "ports"}
    assert {field: service["spec"][field] for field in passed} == {field: OUTSIDE[field] for field in passed}
    assert service["metadata"]["labels"] == {"team": "vision", **child_labels("digits")}
    assert service["metadata"]["annotations"] == OUTSIDE["annotations"]


def test_unset_fields_are_not_rendered() -> None:
    """Kubernetes and the load balancer's controller choose them."""
    children = children_of({})
    assert set(children["Service", "digits"]["spec"]) == {
        *("type", "selector", "ports", "externalIPs", "publishNotReadyAddresses", "sessionAffinity")
    }
    assert "ipFamilyPolicy" not in children["Service", "digits-headless"]["spec"]


@pytest.mark.parametrize(
    ("privacy", "plain", "containers"),
    [
        ({}, [("web-tls", 443, "https", None)], {"https": 8443}),
        (WITHOUT_TLS, [("web", 80, "http", None), ("grpc", 9000, "grpc", 30900)], {"http": 8000, "grpc": 8001}),
    ],
    ids=["TLS", "plain"],
)
def test_ports_are_renamed_and_renumbered_in_the_plain_service_only(
    privacy: Manifest, plain: list[tuple[str, int, str, int | None]], containers: dict[str, int]
) -> None:
    """Clients of the headless Service connect to the pods, whose ports the policy names, too."""
    children = children_of(OUTSIDE, privacy=privacy)
    ports = children["Service", "digits"]["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"], each.get("nodePort")) for each in ports] == plain
    headless = {each["name"]: each["port"] for each in children["Service", "digits-headless"]["spec"]["ports"]}
    assert headless == containers | {"metrics": 8002}
    (rule,) = children["NetworkPolicy", "digits"]["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == list(containers.values())


def test_the_headless_service_is_only_inside_but_has_the_same_ip_families() -> None:
    headless = children_of(OUTSIDE)["Service", "digits-headless"]
    assert headless["spec"]["type"] == "ClusterIP"
    assert headless["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    outside = {"loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy", "trafficDistribution"}
    assert not outside & headless["spec"].keys()
    assert "team" not in headless["metadata"]["labels"]


def test_a_label_of_the_operator_cannot_be_replaced() -> None:
    """Objects that were stored before the rule reach the operator."""
    service = children_of({"labels": {LABEL_INSTANCE: "other"}})["Service", "digits"]
    assert service["metadata"]["labels"][LABEL_INSTANCE] == "digits"


def test_pods_do_not_change_with_the_service() -> None:
    assert inputs_hash(a_deployment(service=OUTSIDE).spec) == inputs_hash(a_deployment().spec)
    changed, before = (children_of(service)["Deployment", "digits"] for service in (OUTSIDE, {}))
    assert changed == before
