"""The chart on a real API server: it is accepted, and its permissions are sufficient and minimal."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.programs.catalogue import tools
from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.conftest import Kubectl
from triton_operator.cluster.observed import IMMUTABLE_KINDS
from triton_operator.cluster.resource_paths import CHILDREN

CHART = Path(__file__).parents[2] / "charts" / "triton-operator"
Right = tuple[str, str, str, str]
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


def render(scenario: str, namespace: str) -> list[dict[str, Any]]:
    """Return the objects of a scenario, without the CRD, which the session has installed."""
    return _render((CHART / "ci" / f"{scenario}-values.yaml").read_text(), namespace)


def _render(values: str, namespace: str) -> list[dict[str, Any]]:
    command = [str(tools("helm") / "helm"), "template", "operator", str(CHART), "--namespace", namespace]
    done = subprocess.run([*command, "--values", "-"], input=values, text=True, capture_output=True, check=True)
    bodies = [body for body in yaml.safe_load_all(done.stdout) if body]
    return [body for body in bodies if body["kind"] != "CustomResourceDefinition"]


def install(kubectl: Kubectl, scenario: str, namespace: str) -> list[dict[str, Any]]:
    """Apply a scenario's objects and return them."""
    return _apply(kubectl, render(scenario, namespace))


def install_values(kubectl: Kubectl, namespace: str, **values: Any) -> list[dict[str, Any]]:
    """Apply the objects that the chart renders for values, and return them."""
    return _apply(kubectl, _render(yaml.safe_dump(values), namespace))


def _apply(kubectl: Kubectl, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kubectl("apply", "--server-side", "--validate=strict", "--filename", "-", stdin=yaml.safe_dump_all(bodies))
    return bodies


def account(bodies: list[dict[str, Any]], namespace: str) -> str:
    """Return the user name of the operator's pods."""
    (name,) = [body["metadata"]["name"] for body in bodies if body["kind"] == "ServiceAccount"]
    return f"system:serviceaccount:{namespace}:{name}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pod_is_admitted_at_the_restricted_level(api: Api, kubectl: Kubectl, namespace: str, scenario: str) -> None:
    """Every object is accepted without a warning, and the pod is admitted where `restricted` is enforced."""
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.merge(f"/api/v1/namespaces/{namespace}", level)
    bodies = [body for body in install(kubectl, scenario, namespace) if body["kind"] == "Deployment"]
    template = bodies[0]["spec"]["template"]
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"]["name"] = "operator"
    pod["spec"].pop("priorityClassName", "")  # Made by the API server a while after its start.
    created = api.create(f"/api/v1/namespaces/{namespace}/pods", pod, dryRun="All")
    assert created["spec"]["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(RequestRefusedError, match="violates PodSecurity"):
        api.create(f"/api/v1/namespaces/{namespace}/pods", pod, dryRun="All")


@pytest.mark.parametrize(("scenario", "everywhere"), [("default", True), ("namespace", False)])
def test_rights_are_enough_and_end_where_they_should(
    api: Api, kubectl: Kubectl, namespace: str, scenario: str, *, everywhere: bool
) -> None:
    """The operator can work in its scope; it has no permissions outside of it, or for users' Secrets and specs."""
    user = account(install(kubectl, scenario, namespace), namespace)
    needed = [("get", "coordination.k8s.io", "leases", "triton-operator")]
    await_right(api, user, needed[0], namespace)
    for kind, resource in CHILDREN.items():
        group = resource.api_version.rpartition("/")[0]
        mended = () if kind in IMMUTABLE_KINDS else ("update",)
        verbs = ("list", "watch", "create", "patch", "delete", *mended)
        needed += [(verb, group, resource.plural, "") for verb in verbs]
    assert [right for right in needed if not may(api, user, right, namespace)] == []
    right = ("patch", "triton-operator.io", "modeldeployments", "digits")
    assert not may(api, user, right, namespace)
    for name in ("triton-operator-serving", "triton-operator-authority"):
        for verb in ("get", "list", "watch", "patch"):
            assert may(api, user, (verb, "", "secrets", name), namespace)
        assert not may(api, user, ("update", "", "secrets", name), namespace)
        assert not may(api, user, ("delete", "", "secrets", name), namespace)
    for name in ("triton-operator", "", "triton-operator-serving-2"):
        for verb in ("get", "list", "watch", "patch", "update", "delete"):
            assert not may(api, user, (verb, "", "secrets", name), namespace)
    assert may(api, user, ("get", "", "secrets", "triton-operator-serving"), "default") is everywhere
    assert not may(api, user, ("get", "", "secrets", "triton-operator-authority"), "default")
    assert may(api, user, ("create", "apps", "deployments", ""), "default") is everywhere


def await_right(api: Api, user: str, right: Right, namespace: str) -> None:
    """Wait until the API server applies new roles."""
    deadline = time.monotonic() + 180
    while not may(api, user, right, namespace):
        assert time.monotonic() < deadline, right
        time.sleep(0.1)


def may(api: Api, user: str, right: Right, namespace: str) -> bool:
    """Whether the API server permits the request of `user`."""
    verb, group, resource, name = right
    wish = {"verb": verb, "group": group, "resource": resource, "name": name, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": ["system:serviceaccounts"], "resourceAttributes": wish},
    }
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
