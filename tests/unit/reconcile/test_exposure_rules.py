"""Which values of `spec.exposure` the operator rejects, with the path and the message."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.builders import a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate

HOST = "digits.example.com"
NGINX = "nginx.ingress.kubernetes.io"
OPEN = {"profile": "Open"}


def exposed(privacy: dict[str, Any] | None = None, **ingress: Any) -> dict[str, Any]:
    return {"exposure": {"ingress": {"host": HOST, "tls": {}, **ingress}}, "privacy": privacy or {}}


def problem_of(**spec: Any) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        validate(a_deployment(**spec).spec, "digits")
    return str(caught.value)


INJECTED = (
    f"{NGINX}/configuration-snippet",
    f"{NGINX}/server-snippet",
    f"{NGINX}/auth-snippet",
    f"{NGINX}/modsecurity-snippet",
    "nginx.org/location-snippets",
    "haproxy.org/backend-config-snippet",
    "haproxy-ingress.github.io/config-backend",
)
DIVERTING = (
    f"{NGINX}/mirror-target",
    f"{NGINX}/auth-url",
    f"{NGINX}/auth-signin",
    f"{NGINX}/rewrite-target",
    f"{NGINX}/use-regex",
    f"{NGINX}/permanent-redirect",
    f"{NGINX}/default-backend",
    "haproxy.org/request-redirect",
    "traefik.ingress.kubernetes.io/router.middlewares",
    "alb.ingress.kubernetes.io/actions.elsewhere",
)


@pytest.mark.parametrize("privacy", [OPEN, {}])
@pytest.mark.parametrize("field", ["annotations", "grpcAnnotations"])
@pytest.mark.parametrize("key", INJECTED)
def test_configuration_of_the_controller_is_rejected_under_every_profile(
    key: str, field: str, privacy: dict[str, Any]
) -> None:
    problem = problem_of(**exposed(privacy, **{field: {key: "return 200;"}}))
    assert f"spec.exposure.ingress.{field}[{key}]: becomes configuration or code of the controller" in problem


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"{NGINX}/server-alias", "adds a host name that is not checked"),
        ("external-dns.alpha.kubernetes.io/hostname", "adds a host name that is not checked"),
        ("kubernetes.io/ingress.class", "the class is spec.exposure.ingress.className"),
        ("triton-operator.io/track", "is reserved for Kubernetes and the operator"),
    ],
)
def test_further_hosts_and_reserved_keys_are_rejected(key: str, message: str) -> None:
    problem = problem_of(**exposed(OPEN, annotations={key: "x"}))
    assert f"spec.exposure.ingress.annotations[{key}]: " in problem
    assert message in problem


@pytest.mark.parametrize("key", DIVERTING)
def test_only_the_profile_open_sends_requests_elsewhere(key: str) -> None:
    assert f"annotations[{key}]: sends requests to another server or path" in problem_of(
        **exposed(annotations={key: "http://elsewhere.example.com"})
    )
    validate(a_deployment(**exposed(OPEN, annotations={key: "http://elsewhere.example.com"})).spec, "digits")


def test_only_the_profile_open_allows_clients_without_tls() -> None:
    ingress = {"ingress": {"host": HOST}}
    assert "spec.exposure.ingress.tls: is required" in problem_of(exposure=ingress)
    validate(a_deployment(exposure=ingress, privacy=OPEN).spec, "digits")
    for key in (f"{NGINX}/ssl-redirect", f"{NGINX}/force-ssl-redirect"):
        redirect = exposed(annotations={key: "false"})
        assert "must not be false: tokens would be sent without TLS" in problem_of(**redirect)
    validate(a_deployment(**exposed(annotations={f"{NGINX}/ssl-redirect": "true"})).spec, "digits")


@pytest.mark.parametrize("host", ["*.example.com", "*", "digits", "203.0.113.7", "Digits.example.com", "a..b", "a.b/c"])
def test_a_host_must_be_one_name(host: str) -> None:
    message = "spec.exposure.ingress.host: must be a DNS name such as digits.example.com"
    assert message in problem_of(**exposed(host=host))


@pytest.mark.parametrize("host", ["kubernetes.default.svc", "pay.shop.svc.cluster.local"])
def test_a_host_must_not_be_a_name_inside_the_cluster(host: str) -> None:
    assert re.search("host: .* is a name inside the cluster", problem_of(**exposed(host=host)))


@pytest.mark.parametrize("secret", ["triton-operator-serving", "triton-operator-authority"])
def test_a_controller_gets_no_key_of_the_operator(secret: str) -> None:
    assert "spec.exposure.ingress.tls.secretName: Secret" in problem_of(**exposed(tls={"secretName": secret}))


def test_the_certificate_of_the_pods_may_be_that_of_the_ingress_if_it_is_the_users() -> None:
    tls = {"mode": "Secret", "secretRef": {"name": "mine"}}
    validate(a_deployment(**exposed({"tls": tls}, tls={"secretName": "mine"})).spec, "digits")


def test_all_mistakes_are_reported_at_once() -> None:
    annotations = {"annotations": {f"{NGINX}/server-snippet": "x"}, "grpcAnnotations": {f"{NGINX}/mirror-target": "x"}}
    problem = problem_of(**exposed(host="*", **annotations))
    assert all(path in problem for path in ("ingress.host", "annotations[", "grpcAnnotations["))


def test_an_empty_exposure_names_the_field_to_set() -> None:
    assert "spec.exposure: set exactly one of ingress and gateway" in problem_of(exposure={})


def through(**gateway: Any) -> dict[str, Any]:
    return {"exposure": {"gateway": {"parentRefs": [{"name": "web"}], "hostnames": [HOST], **gateway}}}


def test_one_way_is_chosen() -> None:
    both = {"exposure": {**through()["exposure"], **exposed()["exposure"]}}
    assert "spec.exposure: set exactly one of ingress and gateway" in problem_of(**both)
    validate(a_deployment(**through()).spec, "digits")


def test_all_mistakes_about_a_gateway_are_reported_at_once() -> None:
    """Without a host name, the route would take every name of the Gateway."""
    problem = problem_of(**through(parentRefs=[], hostnames=["*.example.com", "a.shop.svc"]))
    assert "spec.exposure.gateway.parentRefs: must name at least one Gateway" in problem
    assert "gateway.hostnames[0]: must be a DNS name" in problem
    assert "gateway.hostnames[1]: a.shop.svc is a name inside the cluster" in problem
    assert "spec.exposure.gateway.hostnames: must contain at least one name" in problem_of(**through(hostnames=[]))


def test_the_authority_of_the_users_own_certificate_is_named() -> None:
    privacy = {"tls": {"mode": "Secret", "secretRef": {"name": "mine"}}}
    bundle = {"caBundleConfigMapRef": {"name": "company-ca"}}
    assert "caBundleConfigMapRef: is required with the TLS mode Secret" in problem_of(**through(), privacy=privacy)
    validate(a_deployment(**through(**bundle), privacy=privacy).spec, "digits")
    assert "caBundleConfigMapRef: has no effect with the TLS mode Managed" in problem_of(**through(**bundle))
