"""`spec.exposure` on a real API server: what it rejects, and the children, whose controller the tests play."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.programs import tools
from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.many_objects import until_passed, until_quiet
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
    "nothing": ("exposure", {}, "exposure", "set ingress, or remove exposure"),
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


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@pytest.mark.parametrize("case", BAD)
def test_the_server_rejects(case: str, api: Api, namespace: str) -> None:
    path, value, field, message = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(GOOD, path, value)))
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
    await until_quiet(operator, 1)
    before = operator.writes()
    operator.kill()
    operator.start()
    await until_passed(operator, 1)
    assert operator.writes() - before == Counter(), "a restart writes nothing"

    kube.apply(deployment(GOOD, "rival"))
    kube.wait_reason("rival", "HostInUse", kind="Exposed")
    assert kube.get("ingress", "rival-http") is None
    kube.patch("modeldeployment", "digits", {"spec": {"exposure": None}})
    kube.wait(lambda: kube.get("ingress", "digits-http") is None, "the Ingress is deleted")
    kube.wait(lambda: kube.get("ingress", "rival-grpc"), "the other deployment gets the host")
    kube.wait(lambda: _external(kube) is None, "no address is reported")


def _external(kube: Kube) -> Any:
    status = (kube.get("modeldeployment", "digits") or {}).get("status", {})
    return status.get("endpoints", {}).get("external")


def _hosts(kube: Kube, name: str) -> list[str]:
    return [rule.get("host") for rule in (kube.get("ingress", name) or {})["spec"]["rules"]]
