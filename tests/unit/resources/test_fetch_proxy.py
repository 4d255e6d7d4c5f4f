"""The HTTP proxy and the authorities of downloads: of the object, and the defaults of the installation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.http_proxy import HttpProxy
from triton_operator.api.references import SecretName
from triton_operator.api.repository import CABundle
from triton_operator.api.spec import ModelDeployment
from triton_operator.reconcile.validate import validate
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render
from triton_operator.resources.cache_content import claim_name, recipe
from triton_operator.resources.own_secrets import own_secrets
from triton_operator.resources.revision import inputs_hash
from triton_operator.resources.settings import FetchDefaults, Settings
from triton_operator.triton.prepare_contract import request as preparation

Object = dict[str, Any]

S3: Object = {"modelRepository": {"s3": {"bucket": "models", "endpoint": "https://s3.example.com:9000"}}}
OPEN: Object = S3 | {"privacy": {"profile": "Open"}}
CACHED: Object = S3 | {"cache": {"size": "5Gi"}}
PROXY: Object = {"url": "http://proxy.example.com:3128", "credentialsSecretRef": {"name": "proxy"}}
INSTALLED = FetchDefaults(
    http_proxy=HttpProxy("http://proxy.company:8080", (".svc",), SecretName("company-proxy")),
    proxy_cidrs=("192.0.2.7/32",),
    ca_bundle_config_map_ref=CABundle("company-ca"),
)


def with_proxy(base: Object, **proxy: Any) -> ModelDeployment:
    """The deployment with this proxy of its own."""
    return a_deployment(**base, prepare={"httpProxy": PROXY | proxy})


def settings(fetching: FetchDefaults = INSTALLED) -> Settings:
    """An installation with defaults for downloads."""
    return msgspec.structs.replace(SETTINGS, fetching=fetching)


def children(deployment: ModelDeployment, fetching: FetchDefaults = INSTALLED) -> dict[str, Object]:
    """The rendered objects by kind; the policy is that of the cache, and the ConfigMap that of `prepare`."""
    names = {"NetworkPolicy": claim_name(deployment)}
    return {
        each["kind"]: each
        for each in render(deployment, settings(fetching))
        if each["metadata"]["name"] == names.get(each["kind"], each["metadata"]["name"])
        and (each["kind"] != "ConfigMap" or preparation.CONFIG_FILE in each["data"])
    }


def serving_pod(
    deployment: ModelDeployment, fetching: FetchDefaults = INSTALLED
) -> tuple[Object, preparation.Preparation]:
    """The pod of the Deployment, and what its `prepare` gets."""
    found = children(deployment, fetching)
    request = found["ConfigMap"]["data"][preparation.CONFIG_FILE]
    return found["Deployment"]["spec"]["template"]["spec"], preparation.decode(request.encode())


def job_pod(deployment: ModelDeployment) -> tuple[Object, preparation.Preparation]:
    """The pod of the cache's Job, and what its `prepare` gets."""
    template = children(deployment)["Job"]["spec"]["template"]
    (request,) = (text for key, text in template["metadata"]["annotations"].items() if key.endswith("preparation"))
    return template["spec"], preparation.decode(request.encode())


def egress(deployment: ModelDeployment, fetching: FetchDefaults = INSTALLED) -> tuple[list[str], list[int]]:
    """The addresses (none: any) and ports that the policy of the Job allows in addition to DNS."""
    _, rule = children(deployment, fetching)["NetworkPolicy"]["spec"]["egress"]
    return [peer["ipBlock"]["cidr"] for peer in rule.get("to", ())], [port["port"] for port in rule["ports"]]


def secrets(pod: Object) -> dict[str, str]:
    """{Secret: the container that mounts it}."""
    named = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    return {
        named[mount["name"]]: container["name"]
        for container in containers
        for mount in container["volumeMounts"]
        if mount["name"] in named
    }


def test_pods_that_fetch_get_the_proxy_of_the_object() -> None:
    pod, request = serving_pod(with_proxy(OPEN, noProxy=["10.0.0.0/8"]))
    expected = preparation.FetchProxy("http://proxy.example.com:3128", ("10.0.0.0/8",), "/http-proxy-credentials")
    assert request.proxy == expected
    assert secrets(pod) == {"proxy": "prepare"}


def test_the_job_of_a_cache_gets_it_and_the_pods_do_not() -> None:
    deployment = with_proxy(CACHED)
    pod, request = job_pod(deployment)
    assert request.proxy
    assert request.proxy.url == "http://proxy.example.com:3128"
    assert secrets(pod) == {"proxy": "prepare"}
    pod, request = serving_pod(deployment)
    assert request.proxy is None
    assert "proxy" not in secrets(pod)


def test_without_a_proxy_nothing_changes() -> None:
    """The request is part of the ConfigMap's name, so a new member would restart the pods of existing objects."""
    request = children(a_deployment(**OPEN), FetchDefaults())["ConfigMap"]["data"][preparation.CONFIG_FILE]
    assert "roxy" not in request
    assert "roxy" in children(with_proxy(OPEN), FetchDefaults())["ConfigMap"]["data"][preparation.CONFIG_FILE]


def test_the_defaults_of_the_installation() -> None:
    pod, request = serving_pod(a_deployment(**OPEN))
    assert request.proxy == preparation.FetchProxy("http://proxy.company:8080", (".svc",), "/http-proxy-credentials")
    assert secrets(pod) == {"company-proxy": "prepare"}
    (download,) = request.downloads
    assert download.ca_bundle == "/ca/source/ca.crt"
    assert {"name": "company-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]} in [
        volume.get("configMap") for volume in pod["volumes"]
    ]
    named = {choice.field: choice.value for choice in applied_defaults(a_deployment(**OPEN), settings())}
    assert named["spec.prepare.httpProxy.url"] == "http://proxy.company:8080"
    assert named["caBundleConfigMapRef"] == "key ca.crt of ConfigMap company-ca"


def test_the_object_takes_precedence() -> None:
    own = {"modelRepository": {**S3["modelRepository"], "caBundleConfigMapRef": {"name": "team-ca"}}}
    pod, request = serving_pod(with_proxy(OPEN | own))
    assert request.proxy
    assert request.proxy.url == PROXY["url"]
    assert "company-ca" not in str(pod["volumes"])
    pod, request = serving_pod(a_deployment(**OPEN, prepare={"httpProxy": {"url": ""}}))
    assert request.proxy is None
    assert secrets(pod) == {}


def test_defaults_are_for_fetched_sources_only() -> None:
    assert render(a_deployment(), settings()) == render(a_deployment(), SETTINGS)
    plain = OPEN | {"modelRepository": {"s3": {"bucket": "models", "endpoint": "http://minio.models.svc:9000"}}}
    _, request = serving_pod(a_deployment(**plain))
    assert request.downloads[0].ca_bundle == ""


def test_air_gapped_never_uses_the_proxy_of_the_installation() -> None:
    air_gapped = CACHED | {
        "privacy": {"profile": "AirGapped"},
        "verification": {"keys": [{"name": "a", "configMapRef": {"name": "keys", "key": "a.pub"}}]},
        "cache": {"size": "5Gi", "egress": {"cidrs": ["10.0.0.0/24"]}},
        "triton": {"image": "example.org/triton@sha256:" + "0" * 64, "version": "26.11"},
    }
    by_digest = msgspec.structs.replace(settings(), operator_image="example.org/operator@sha256:" + "0" * 64)
    (job,) = (each for each in render(a_deployment(**air_gapped), by_digest) if each["kind"] == "Job")
    assert "proxy.company" not in str(job)
    assert "company-ca" in str(job)


def test_the_policy_of_the_job_leads_to_the_proxy() -> None:
    with_cidrs = CACHED | {"cache": {"size": "5Gi", "egress": {"cidrs": ["203.0.113.0/24"]}}}
    assert egress(a_deployment(**with_cidrs), FetchDefaults()) == (["203.0.113.0/24"], [9000])
    assert egress(with_proxy(with_cidrs), FetchDefaults()) == (["203.0.113.0/24"], [3128])
    assert egress(with_proxy(with_cidrs, noProxy=["example.com"])) == (["203.0.113.0/24"], [9000])
    assert egress(a_deployment(**with_cidrs)) == (["203.0.113.0/24", "192.0.2.7/32"], [8080])
    ports = CACHED | {"cache": {"size": "5Gi", "egress": {"cidrs": ["203.0.113.0/24"], "ports": [443]}}}
    assert egress(a_deployment(**ports)) == (["203.0.113.0/24", "192.0.2.7/32"], [443, 8080])


def test_an_open_policy_is_closed_only_if_the_proxy_is_the_only_destination() -> None:
    assert egress(a_deployment(**CACHED)) == (["192.0.2.7/32"], [8080])
    assert egress(a_deployment(**CACHED), msgspec.structs.replace(INSTALLED, proxy_cidrs=())) == ([], [8080])
    direct = {"name": "b", "modelRepository": {"http": {"url": "https://files.models.svc/b.tar"}}}
    assert egress(a_deployment(**CACHED, models=[{"name": "a"}, direct])) == ([], [443, 8080])


def test_only_pods_that_fetch_are_replaced_by_a_change() -> None:
    assert inputs_hash(with_proxy(OPEN).spec) != inputs_hash(a_deployment(**OPEN).spec)
    assert inputs_hash(with_proxy(CACHED).spec) == inputs_hash(a_deployment(**CACHED).spec)
    assert recipe(with_proxy(CACHED).spec) != recipe(a_deployment(**CACHED).spec)


def test_triton_cannot_read_the_secret_of_the_proxy() -> None:
    assert "proxy" in own_secrets(with_proxy(OPEN).spec, "digits")
    variable = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "password"}}}
    deployment = a_deployment(**OPEN, prepare={"httpProxy": PROXY}, env=[variable])
    with pytest.raises(InvalidSpecError, match="Secret proxy contains keys or credentials"):
        validate(deployment.spec, "digits")


WRONG: dict[str, tuple[ModelDeployment, list[str]]] = {
    "nothing is fetched": (
        a_deployment(prepare={"httpProxy": {"url": "http://proxy:3128"}}),
        ["spec.prepare.httpProxy: has no effect, because no repository is s3 or http"],
    ),
    "a password in the address": (
        with_proxy(OPEN, url="http://me:secret@proxy:3128"),
        ["spec.prepare.httpProxy.url: must not contain credentials; put username and password into a Secret"],
    ),
    "under AirGapped, and a password": (
        with_proxy(CACHED | {"privacy": {"profile": "AirGapped"}}, url="http://me:secret@proxy:3128"),
        ["must not contain credentials", "spec.prepare.httpProxy.url: must not be set, because a proxy connects to"],
    ),
    "a Secret without an address": (
        with_proxy(OPEN, url=""),
        ["spec.prepare.httpProxy.credentialsSecretRef: has no effect without url"],
    ),
}


@pytest.mark.parametrize(("deployment", "messages"), WRONG.values(), ids=WRONG)
def test_mistakes_are_reported_together(deployment: ModelDeployment, messages: list[str]) -> None:
    with pytest.raises(InvalidSpecError) as error:
        validate(deployment.spec, "digits")
    assert [message for message in messages if message not in str(error.value)] == []
    assert "secret@" not in str(error.value)
