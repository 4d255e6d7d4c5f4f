"""Pods in a namespace with resource rules (ResourceQuota, LimitRange): rules that Triton's container follows suffice.

The sidecar `proxy` is an exception: it has a part of Triton's resources, so a minimum may require its own field.

The tests create pods from the rendered templates, as the controllers would. A quota counts by its status, which its
controller writes in a cluster; here the test writes it.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.builders import SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.resources.build import render

Object = dict[str, Any]

RESOURCES: Object = {
    "requests": {"cpu": "500m", "memory": "1Gi"},
    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
}
FETCHED: Object = {"modelRepository": {"s3": {"bucket": "models"}}, "cache": {"size": "1Gi"}}
UNBOUNDED: Object = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
SCARCE: Object = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
LAVISH: Object = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "4", "memory": "256Mi"}}


def a_quota(hard: Object) -> Object:
    """Return a quota of these resources."""
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "rule"}, "spec": {"hard": hard}}


def a_range(kind: str = "Container", **bounds: Object) -> Object:
    """Return bounds for each container, or for each pod."""
    limits = [{"type": kind, **bounds}]
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "rule"}, "spec": {"limits": limits}}


# Each rule, and resources of one container that break it, to see that it is in force.
RULES: dict[str, tuple[Object, Object]] = {
    "a quota of limits": (
        a_quota({"requests.cpu": "4", "requests.memory": "8Gi", "limits.cpu": "4", "limits.memory": "8Gi"}),
        UNBOUNDED,
    ),
    "a minimum": (a_range(min={"cpu": "200m", "memory": "256Mi"}), SCARCE),
    "a minimum of scratch space": (
        a_range(min={"ephemeral-storage": "512Mi"}),
        {"requests": {"ephemeral-storage": "1Mi"}},
    ),
    "a maximum": (a_range(max={"cpu": "1", "memory": "1Gi"}), LAVISH),
    "a ratio": (a_range(maxLimitRequestRatio={"cpu": "2", "memory": "1"}), LAVISH),
    "a ratio of the whole pod": (a_range("Pod", maxLimitRequestRatio={"cpu": "2", "memory": "1"}), LAVISH),
    "a default": (
        a_range(default={"cpu": "1", "memory": "1Gi"}, maxLimitRequestRatio={"cpu": "4", "memory": "2"}),
        LAVISH,
    ),
}


MINIMA = {"a minimum", "a minimum of scratch space"}


@pytest.mark.parametrize("rule", RULES)
def test_pods_follow_the_rules_that_triton_follows(api: Api, namespace: str, rule: str) -> None:
    """Without settings for `prepare`, the Job or `proxy`, no pod is rejected where Triton's container is admitted."""
    _set_rule(api, namespace, *RULES[rule])
    privacy: Object = {"proxy": {"resources": RESOURCES}} if rule in MINIMA else {}
    for pod in _pods(namespace, **FETCHED, resources=RESOURCES, privacy=privacy):
        _create(api, namespace, pod)


def test_pods_of_a_spec_that_says_nothing_get_the_defaults_of_the_namespace(api: Api, namespace: str) -> None:
    """The operator sets no limit that conflicts with them."""
    bounds: Object = {
        "default": {"cpu": "1", "memory": "512Mi"},
        "min": {"cpu": "100m", "memory": "128Mi"},
        "maxLimitRequestRatio": {"cpu": "4", "memory": "1"},
    }
    _set_rule(api, namespace, a_range(**bounds), SCARCE)
    for pod in _pods(namespace, **FETCHED, privacy=WITHOUT_TLS):
        created = _create(api, namespace, pod)
        for container in [*created["spec"].get("initContainers", ()), *created["spec"]["containers"]]:
            assert container["resources"]["limits"] == bounds["default"]


def test_a_field_helps_where_the_default_does_not(api: Api, namespace: str) -> None:
    """By default, a Job gets at most one CPU, and the sidecar a quarter of Triton's; here that is not enough."""
    _set_rule(api, namespace, a_range(min={"cpu": "2"}), SCARCE)
    two: Object = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    four: Object = {"requests": {"cpu": "4"}, "limits": {"cpu": "4"}}
    for pod in _pods(namespace, **FETCHED, resources=four):
        with pytest.raises(RequestRefusedError, match="minimum cpu usage per Container is 2"):
            _create(api, namespace, pod)
    privacy: Object = {"proxy": {"resources": two}}
    job, serving = _pods(namespace, **FETCHED, resources=four, prepare={"resources": two}, privacy=privacy)
    assert [each["resources"]["limits"]["cpu"] for each in serving["spec"]["initContainers"]] == ["2", "2"]
    _create(api, namespace, serving)
    _create(api, namespace, job)
    cache = FETCHED["cache"] | {"resources": two}
    job, _ = _pods(namespace, **(FETCHED | {"cache": cache}), resources=four)
    _create(api, namespace, job)


def _pods(namespace: str, **spec: Any) -> list[Object]:
    """Return the cache Job's pod and a serving pod, as their controllers would create them."""
    children = {body["kind"]: body for body in render(a_deployment(namespace=namespace, **spec), SETTINGS)}
    pods = []
    for kind in ("Job", "Deployment"):
        template = children[kind]["spec"]["template"]
        metadata = template["metadata"] | {"generateName": "digits-"}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return pods


def _create(api: Api, namespace: str, pod: Object) -> Object:
    return api.create(f"/api/v1/namespaces/{namespace}/pods", pod)


def _set_rule(api: Api, namespace: str, rule: Object, breaking: Object) -> None:
    """Create the rule, and wait until the API server rejects a pod that violates it."""
    path = f"/api/v1/namespaces/{namespace}"
    api.create(f"{path}/{rule['kind'].lower()}s", rule)
    if rule["kind"] == "ResourceQuota":
        hard = rule["spec"]["hard"]
        status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
        api.merge(f"{path}/resourcequotas/rule/status", status)
    container = {"name": "breaking", "image": "example.org/nothing:1", "resources": breaking}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "breaking-"},
        "spec": {"containers": [container]},
    }
    deadline = time.monotonic() + 180
    while True:
        try:
            api.create(f"{path}/pods", pod, dryRun="All")
        except RequestRefusedError as refused:
            if refused.code == 403:
                return
        assert time.monotonic() < deadline, "the rule is not in force"
        time.sleep(0.1)
