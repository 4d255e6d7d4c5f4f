"""The children of `spec.exposure`: which paths lead to which port of the Service."""

from __future__ import annotations

from typing import Any

import kubernetes_validate

from tests.builders import SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.resources.build import render

Manifest = dict[str, Any]

HOST = "digits.example.com"
NGINX = "nginx.ingress.kubernetes.io/backend-protocol"
INGRESS: Manifest = {
    "className": "nginx",
    "host": HOST,
    "annotations": {NGINX: "HTTPS", "example.com/team": "vision"},
    "grpcAnnotations": {NGINX: "GRPCS"},
    "tls": {"secretName": "digits-example-com"},
}
METHODS = ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"]


def ingresses(**spec: Any) -> dict[str, Manifest]:
    children = render(a_deployment(**spec), SETTINGS)
    return {child["metadata"]["name"]: child for child in children if child["kind"] == "Ingress"}


def paths(ingress: Manifest) -> list[tuple[str, str]]:
    (rule,) = ingress["spec"]["rules"]
    return [(path["pathType"], path["path"]) for path in rule["http"]["paths"]]


def ports(ingress: Manifest) -> set[str]:
    (rule,) = ingress["spec"]["rules"]
    return {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]}


def test_without_exposure_there_is_no_ingress() -> None:
    assert not ingresses()


def test_each_protocol_has_an_ingress_with_its_annotations() -> None:
    found = ingresses(exposure={"ingress": INGRESS})
    assert set(found) == {"digits-http", "digits-grpc"}
    for ingress in found.values():
        kubernetes_validate.validate(ingress, "1.35", strict=True)
        assert ingress["spec"]["ingressClassName"] == "nginx"
        assert ingress["spec"]["tls"] == [{"hosts": [HOST], "secretName": "digits-example-com"}]
        assert [rule["host"] for rule in ingress["spec"]["rules"]] == [HOST]
        assert ports(ingress) == {"https"}
    assert found["digits-http"]["metadata"]["annotations"] == {NGINX: "HTTPS", "example.com/team": "vision"}
    assert found["digits-grpc"]["metadata"]["annotations"] == {NGINX: "GRPCS", "example.com/team": "vision"}


def test_only_inference_health_and_metadata_are_exposed() -> None:
    found = ingresses(exposure={"ingress": INGRESS})
    assert paths(found["digits-http"]) == [("Exact", "/v2"), ("Prefix", "/v2/health"), ("Prefix", "/v2/models")]
    inference = [f"/inference.GRPCInferenceService/{method}" for method in [*METHODS, "ModelStreamInfer"]]
    assert paths(found["digits-grpc"]) == [("Exact", path) for path in [*inference, "/grpc.health.v1.Health/Check"]]


def test_apis_that_the_user_opens_are_exposed_too() -> None:
    found = ingresses(exposure={"ingress": INGRESS}, triton={"openEndpoints": ["Statistics"]})
    assert ("Exact", "/inference.GRPCInferenceService/ModelStatistics") in paths(found["digits-grpc"])
    assert ("Exact", "/inference.GRPCInferenceService/ModelConfig") not in paths(found["digits-grpc"])


def test_without_tls_each_protocol_has_its_port_of_the_service() -> None:
    """The ports have the names that the user has given them."""
    service = {"ports": {"http": {"name": "web"}}}
    found = ingresses(exposure={"ingress": {"host": HOST, "tls": {}}}, privacy=WITHOUT_TLS, service=service)
    named = {name: ports(ingress) for name, ingress in found.items()}
    assert named == {"digits-http": {"web"}, "digits-grpc": {"grpc"}}
    assert found["digits-http"]["spec"]["tls"] == [{"hosts": [HOST]}]
    assert "annotations" not in found["digits-http"]["metadata"]
    assert "ingressClassName" not in found["digits-http"]["spec"]


GATEWAY: Manifest = {
    "parentRefs": [{"name": "web", "namespace": "infra", "sectionName": "https"}],
    "hostnames": [HOST],
}


def routes(**spec: Any) -> dict[str, Manifest]:
    children = render(a_deployment(**spec), SETTINGS)
    return {child["kind"]: child["spec"] for child in children if "gateway" in child["apiVersion"]}


def test_a_gateway_gets_a_route_for_each_protocol_and_verifies_the_pods() -> None:
    found = routes(exposure={"gateway": GATEWAY}, service={"ports": {"https": {"name": "web", "port": 443}}})
    assert list(found) == ["BackendTLSPolicy", "HTTPRoute", "GRPCRoute"]
    policy = found["BackendTLSPolicy"]
    assert policy["targetRefs"] == [{"group": "", "kind": "Service", "name": "digits", "sectionName": "web"}]
    assert policy["validation"] == {
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "triton-operator-ca"}],
        "hostname": "digits.shop.svc",
    }
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **GATEWAY["parentRefs"][0]}
    for kind in ("HTTPRoute", "GRPCRoute"):
        assert (found[kind]["parentRefs"], found[kind]["hostnames"]) == ([parent], [HOST])
        (rule,) = found[kind]["rules"]
        assert [(each["name"], each["port"]) for each in rule["backendRefs"]] == [("digits", 443)]


def test_routes_lead_to_inference_health_and_metadata_only() -> None:
    found = routes(exposure={"gateway": GATEWAY})
    (http,), (grpc,) = found["HTTPRoute"]["rules"], found["GRPCRoute"]["rules"]
    paths = [(match["path"]["type"], match["path"]["value"]) for match in http["matches"]]
    assert paths == [("Exact", "/v2"), ("PathPrefix", "/v2/health"), ("PathPrefix", "/v2/models")]
    methods = [(match["method"]["service"], match["method"]["method"]) for match in grpc["matches"]]
    inference = [("inference.GRPCInferenceService", method) for method in [*METHODS, "ModelStreamInfer"]]
    assert methods == [*inference, ("grpc.health.v1.Health", "Check")]


def test_without_tls_there_is_no_policy_for_it() -> None:
    found = routes(exposure={"gateway": GATEWAY}, privacy=WITHOUT_TLS)
    assert list(found) == ["HTTPRoute", "GRPCRoute"]
    ports = [found[kind]["rules"][0]["backendRefs"][0]["port"] for kind in found]
    assert ports == [8000, 8001]


def test_an_ingress_opens_nothing_in_the_network_policy() -> None:
    """Positive control: the Ingresses exist."""
    with_ingress = {child["kind"]: child for child in render(a_deployment(exposure={"ingress": INGRESS}), SETTINGS)}
    without = {child["kind"]: child for child in render(a_deployment(), SETTINGS)}
    assert set(with_ingress) - set(without) == {"Ingress"}
    assert with_ingress["NetworkPolicy"] == without["NetworkPolicy"]
    assert with_ingress["Deployment"] == without["Deployment"]
