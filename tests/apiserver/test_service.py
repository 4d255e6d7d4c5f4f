"""The Service of a deployment on a real API server: every field, the load balancer's address, and changes of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack.programs.catalogue import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.specs import MINIMAL, deployment
from tests.builders import LOAD_BALANCER
from tests.kube import Kube, KubectlError

Object = dict[str, Any]

OUTSIDE: Object = {
    **LOAD_BALANCER,
    "ports": {"https": {"name": "web", "port": 443}},
}
FIELDS = OUTSIDE.keys() - {"labels", "ports"}
OF_LOAD_BALANCERS = {"loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy", "healthCheckNodePort"}


def test_the_service_follows_the_spec_and_the_status_follows_the_load_balancer(
    operator: OperatorProcess, kubeconfig: Path, namespace: str
) -> None:
    """The class changes over another type, during which the address inside the cluster stays the same."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    kube.apply(deployment({**MINIMAL, "service": OUTSIDE}))
    kube.wait(lambda: kube.get("service", "digits"), "the Service exists")
    spec = _spec(kube)
    assert {field: spec[field] for field in FIELDS} == {field: OUTSIDE[field] for field in FIELDS}
    assert [(port["name"], port["port"], port["targetPort"]) for port in spec["ports"]] == [("web", 443, "https")]
    assert _endpoints(kube, "https is reported") == {"https": f"https://digits.{namespace}.svc:443", "external": None}

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
    kube.patch("service", "digits", address, subresource="status")
    kube.wait(lambda: _external(kube) == ["https://203.0.113.7:443"], "the external address is reported")

    kube.patch("service", "digits", {"spec": {"loadBalancerSourceRanges": ["0.0.0.0/0"], "externalIPs": ["192.0.2.1"]}})
    kube.wait(lambda: "externalIPs" not in _spec(kube), "an edit is undone")
    kube.wait(lambda: _spec(kube) == spec, "everything is as before")

    with pytest.raises(KubectlError, match="cannot change while type is LoadBalancer"):
        kube.patch("modeldeployment", "digits", {"spec": {"service": {"loadBalancerClass": "example.com/other"}}})
    with pytest.raises(KubectlError, match="cannot change while type is LoadBalancer"):
        kube.patch("modeldeployment", "digits", {"spec": {"service": {"loadBalancerClass": None}}})

    kube.patch("modeldeployment", "digits", {"spec": {"service": None}})
    kube.wait(lambda: _spec(kube)["type"] == "ClusterIP", "the Service is only inside")
    inside = _spec(kube)
    assert not (OF_LOAD_BALANCERS | {"trafficDistribution"}) & inside.keys()
    assert [(port["name"], port["port"], port.get("nodePort")) for port in inside["ports"]] == [("https", 8443, None)]
    assert "team" not in (kube.get("service", "digits") or {})["metadata"]["labels"]
    kube.wait(lambda: _external(kube) is None, "no external address is reported")

    other = {"type": "LoadBalancer", "loadBalancerClass": "example.com/other"}
    kube.patch("modeldeployment", "digits", {"spec": {"service": other}})
    kube.wait(lambda: _spec(kube).get("loadBalancerClass") == "example.com/other", "the other class is used")
    assert _spec(kube)["clusterIP"] == inside["clusterIP"] == spec["clusterIP"]
    assert (kube.condition("digits", "Accepted") or {}).get("status") != "False"


def _spec(kube: Kube) -> Object:
    spec: Object = (kube.get("service", "digits") or {})["spec"]
    return spec


def _reported(kube: Kube) -> Object:
    reported: Object = (kube.get("modeldeployment", "digits") or {}).get("status", {}).get("endpoints", {})
    return reported


def _external(kube: Kube) -> list[str] | None:
    external: list[str] | None = _reported(kube).get("external")
    return external


def _endpoints(kube: Kube, what: str) -> Object:
    kube.wait(lambda: _reported(kube).get("https"), what)
    return {name: _reported(kube).get(name) for name in ("https", "external")}
