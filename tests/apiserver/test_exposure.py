"""`spec.exposure` on a real API server: what it rejects, and the children, whose controller the tests play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack.programs.catalogue import tools
from tests import gateway_api
from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.many_objects import check_that_a_restart_writes_nothing
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.specs import MINIMAL, NOTHING, changed, create, deployment
from tests.kube import Kube

Object = dict[str, Any]

HOST = "digits.example.com"
NGINX = "nginx.ingress.kubernetes.io"
INGRESS: Object = {
    "className": "nginx",
    "host": HOST,
    "annotations": {f"{NGINX}/backend-protocol": "HTTPS", f"{NGINX}/ssl-redirect": "true"},
    "grpcAnnotations": {f"{NGINX}/backend-protocol": "GRPCS"},
    "tls": {"secretName": "digits-example-com"},
}
GOOD: Object = {**MINIMAL, "privacy": {"profile": "Private"}, "exposure": {"ingress": INGRESS}}
NAMES = ("digits-http", "digits-grpc")

BAD: dict[str, tuple[str, Any, str, str]] = {
    "nothing": ("exposure", {}, "exposure", "exactly one of ingress and gateway must be set"),
    "no host": ("exposure.ingress.host", NOTHING, "exposure.ingress.host", "Required value"),
    "wildcard": ("exposure.ingress.host", "*.example.com", "exposure.ingress.host", "should match"),
    "address": ("exposure.ingress.host", "203.0.113.7", "exposure.ingress.host", "should match"),
    "name of a Service": (
        "exposure.ingress.host",
        "kubernetes.default.svc",
        "exposure.ingress.host",
        "must not be a name inside the cluster",
    ),
    "no TLS": (
        "exposure.ingress.tls",
        None,
        "exposure.ingress.tls",
        "only the profile Open allows clients without TLS",
    ),
    "snippet": (
        "exposure.ingress.annotations",
        {f"{NGINX}/configuration-snippet": "return 200;"},
        "exposure.ingress.annotations",
        "must not contain configuration or code of the controller",
    ),
    "snippet for gRPC": (
        "exposure.ingress.grpcAnnotations",
        {"haproxy.org/backend-config-snippet": "http-request deny"},
        "exposure.ingress.grpcAnnotations",
        "must not contain configuration or code of the controller",
    ),
    "another host": (
        "exposure.ingress.annotations",
        {f"{NGINX}/server-alias": "bank.example.com"},
        "exposure.ingress.annotations",
        "must not add host names",
    ),
    "mirror": (
        "exposure.ingress.grpcAnnotations",
        {f"{NGINX}/mirror-target": "https://evil.example.com"},
        "exposure.ingress",
        "must not contain annotations that send requests to another server or path",
    ),
    "plaintext": (
        "exposure.ingress.annotations",
        {f"{NGINX}/ssl-redirect": "false"},
        "exposure.ingress",
        "allow requests without TLS",
    ),
    "Secret of the operator": (
        "exposure.ingress.tls.secretName",
        "triton-operator-serving",
        "exposure.ingress.tls.secretName",
        "must not be a Secret of the operator",
    ),
}


GATEWAY: Object = {"parentRefs": [{"name": "web", "namespace": "infra", "sectionName": "https"}], "hostnames": [HOST]}
THROUGH: Object = {**MINIMAL, "privacy": {"profile": "Private"}, "exposure": {"gateway": GATEWAY}}
ROUTES = ("httproute", "grpcroute", "backendtlspolicy")
BAD_GATEWAYS: dict[str, tuple[str, Any, str, str]] = {
    "both": ("exposure.ingress", INGRESS, "exposure", "exactly one of ingress and gateway must be set"),
    "no Gateway": ("exposure.gateway.parentRefs", [], "exposure.gateway.parentRefs", "at least 1 items"),
    "every host": ("exposure.gateway.hostnames", [], "exposure.gateway.hostnames", "at least 1 items"),
    "wildcard": ("exposure.gateway.hostnames", ["*.a.example"], "exposure.gateway.hostnames[0]", "should match"),
    "needless authority": (
        "exposure.gateway.caBundleConfigMapRef",
        {"name": "ca"},
        "exposure.gateway.caBundleConfigMapRef",
        "must not be set with another mode",
    ),
    "no authority": (
        "privacy.tls",
        {"mode": "Secret", "secretRef": {"name": "mine"}},
        "exposure.gateway.caBundleConfigMapRef",
        "must be set with the TLS modes Secret and CertManager",
    ),
}


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@pytest.mark.parametrize(
    ("good", "change"),
    [
        *(pytest.param(GOOD, change, id=case) for case, change in BAD.items()),
        *(pytest.param(THROUGH, change, id=f"gateway: {case}") for case, change in BAD_GATEWAYS.items()),
    ],
)
def test_the_server_rejects(good: Object, change: tuple[str, Any, str, str], api: Api, namespace: str) -> None:
    path, value, field, message = change
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(good, path, value)))
    assert f"spec.{field}" in str(refused.value)
    assert message in str(refused.value)


def test_the_profile_open_restricts_less(api: Api, namespace: str) -> None:
    spec = changed(changed(GOOD, "privacy.profile", "Open"), "exposure.ingress.tls", NOTHING)
    spec = changed(spec, "exposure.ingress.annotations", {f"{NGINX}/mirror-target": "https://b.example.com"})
    create(api, namespace, deployment(spec))


async def test_ingresses_follow_the_spec_and_the_status_follows_the_controller(
    operator: OperatorProcess, kube: Kube, namespace: str
) -> None:
    """A restarted operator writes nothing, and another deployment does not get the host."""
    kube.apply(deployment(GOOD))
    kube.wait_reason("digits", "AddressPending", kind="Exposed")
    for name in NAMES:
        address = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
        kube.patch("ingress", name, address, subresource="status")
    kube.wait(lambda: _external(kube) == [f"https://{HOST}:443"], "the address is reported")
    assert (kube.condition("digits", "Exposed") or {})["status"] == "True"

    kube.patch("ingress", "digits-http", {"spec": {"rules": [{"host": "bank.example.com"}]}})
    kube.wait(lambda: _hosts(kube, "digits-http") == [HOST], "an edit is undone")
    await check_that_a_restart_writes_nothing(operator)

    kube.apply(deployment(GOOD, "rival"))
    kube.wait_reason("rival", "HostInUse", kind="Exposed")
    assert kube.get("ingress", "rival-http") is None
    kube.patch("modeldeployment", "digits", {"spec": {"exposure": None}})
    kube.wait(lambda: kube.get("ingress", "digits-http") is None, "the Ingress is deleted")
    kube.wait(lambda: kube.get("ingress", "rival-grpc"), "the other deployment gets the host")
    kube.wait(lambda: _external(kube) is None, "no address is reported")


async def test_a_gateway_api_that_is_installed_later_is_used(
    operator: OperatorProcess, kube: Kube, namespace: str
) -> None:
    """The real definitions accept the routes; a restarted operator writes nothing, and edits are undone."""
    kube.apply(deployment(THROUGH))
    kube.wait_reason("digits", "GatewayAPINotInstalled", kind="Exposed")
    kube.wait(lambda: kube.get("deployment", "digits"), "pods are created nevertheless")
    gateway_api.install(kube)
    try:
        kube.wait_reason("digits", "RoutePending", kind="Exposed")
        for kind in ROUTES:
            kube.patch(kind, "digits", _report(kube, kind, "False"), subresource="status")
        condition = kube.wait_reason("digits", "RouteNotAccepted", kind="Exposed")
        assert "Gateway infra/web does not accept" in condition["message"]
        for kind in ROUTES:
            kube.patch(kind, "digits", _report(kube, kind, "True"), subresource="status")
        kube.wait_reason("digits", "Exposed", kind="Exposed")

        kube.patch("httproute", "digits", {"spec": {"hostnames": ["bank.example.com"]}})
        kube.wait(lambda: _spec(kube, "httproute")["hostnames"] == [HOST], "an edit is undone")
        await check_that_a_restart_writes_nothing(operator)

        kube.patch("modeldeployment", "digits", {"spec": {"exposure": None}})
        for kind in ROUTES:
            kube.wait(lambda kind=kind: kube.get(kind, "digits") is None, f"the {kind} is deleted")  # type: ignore[misc]
        assert operator.is_healthy()
    finally:
        gateway_api.uninstall(kube)


def _report(kube: Kube, kind: str, accepted: str) -> Object:
    """The status that the controller of the Gateway writes."""
    generation = (kube.get(kind, "digits") or {})["metadata"]["generation"]
    conditions = [
        {
            "type": name,
            "status": accepted,
            "reason": name if accepted == "True" else "NotAllowedByListeners",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        for name in ("Accepted", "ResolvedRefs")
    ]
    reference = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **GATEWAY["parentRefs"][0]}
    place, name = ("ancestors", "ancestorRef") if kind == "backendtlspolicy" else ("parents", "parentRef")
    entry = {name: reference, "controllerName": "example.com/controller", "conditions": conditions}
    return {"status": {place: [entry]}}


def _spec(kube: Kube, kind: str) -> Object:
    spec: Object = (kube.get(kind, "digits") or {})["spec"]
    return spec


def _external(kube: Kube) -> Any:
    status = (kube.get("modeldeployment", "digits") or {}).get("status", {})
    return status.get("endpoints", {}).get("external")


def _hosts(kube: Kube, name: str) -> list[str]:
    return [rule.get("host") for rule in (kube.get("ingress", name) or {})["spec"]["rules"]]
