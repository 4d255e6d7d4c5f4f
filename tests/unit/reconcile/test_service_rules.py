"""Which combinations of `spec.service` the operator rejects, with the path and the message."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"loadBalancerClass": "internal"}, "loadBalancerClass: must not be set unless type is LoadBalancer"),
    "source ranges of a NodePort": (
        {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        "loadBalancerSourceRanges: must not be set unless type is LoadBalancer; it is NodePort",
    ),
    "policy of a ClusterIP": (
        {"externalTrafficPolicy": "Local"},
        "externalTrafficPolicy: must not be set unless type is NodePort or LoadBalancer; it is ClusterIP",
    ),
    "node port of a ClusterIP": (
        {"ports": {"https": {"nodePort": 30443}}},
        r"ports\.https\.nodePort: must not be set unless type is NodePort or LoadBalancer",
    ),
    "number of another port": (
        {"ports": {"https": {"port": 8000}}},
        "ports: http, grpc and https must have different numbers, .*; 8000 is used twice",
    ),
    "name of another port": (
        {"ports": {"http": {"name": "grpc"}}},
        "ports: http, grpc and https must have different names, .*; grpc is used twice",
    ),
    "node port twice": (
        {"type": "NodePort", "ports": {"http": {"nodePort": 30000}, "grpc": {"nodePort": 30000}}},
        "ports: .* different node ports, .*; 30000 is used twice",
    ),
    "label of the operator": (
        {"labels": {"app.kubernetes.io/instance": "other"}},
        "labels: app.kubernetes.io/instance is reserved for Kubernetes and the operator",
    ),
    "label of a child": ({"labels": {"triton-operator.io/track": "x"}}, "labels: triton-operator.io/track is reserved"),
    "label that switches kube-proxy off": (
        {"labels": {"service.kubernetes.io/service-proxy-name": "mine"}},
        "labels: service.kubernetes.io/service-proxy-name is reserved",
    ),
    "label of a cluster service": ({"labels": {"k8s.io/cluster-service": "true"}}, "labels: k8s.io/cluster-service is"),
    "range with a host": (
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "10.1.2.3/8"]},
        r"loadBalancerSourceRanges\[1\]: 10\.1\.2\.3/8 has host bits set",
    ),
}
GOOD: dict[str, dict[str, Any]] = {
    "defaults": {},
    "load balancer": {
        "type": "LoadBalancer",
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["203.0.113.0/24", "2001:db8::/32"],
        "externalTrafficPolicy": "Local",
        "ports": {"https": {"name": "web", "port": 443, "nodePort": 30443}},
    },
    "node port": {"type": "NodePort", "externalTrafficPolicy": "Cluster"},
    "swapped ports": {"ports": {"http": {"port": 8001}, "grpc": {"port": 8000}}},
    "inside": {
        "trafficDistribution": "PreferSameZone",
        "ipFamilyPolicy": "PreferDualStack",
        "labels": {"a/b": "c", "app.kubernetes.io/part-of": "shop"},
    },
}


@pytest.mark.parametrize(("service", "message"), BAD.values(), ids=BAD)
def test_a_combination_that_kubernetes_does_not_allow_is_rejected_at_its_field(
    service: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=rf"^spec\.service\.{message}"):
        validate(a_deployment(service=service).spec)


@pytest.mark.parametrize("service", GOOD.values(), ids=GOOD)
def test_other_combinations_are_accepted(service: dict[str, Any]) -> None:
    validate(a_deployment(service=service).spec)


def test_all_mistakes_are_reported_at_once() -> None:
    service = {"loadBalancerClass": "a", "externalTrafficPolicy": "Local", "labels": {"triton-operator.io/x": "y"}}
    with pytest.raises(InvalidSpecError) as rejected:
        validate(a_deployment(service=service).spec)
    assert all(field in str(rejected.value) for field in ("loadBalancerClass", "externalTrafficPolicy", "labels"))
