"""Children of an earlier release under this one: pods and ports stay identical, until the user changes the pods.

`releases/*.json` contain, for several specs, the children as that release applied them. They are never generated again,
because the new operator's output cannot show that the old one's is preserved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hack.programs.catalogue import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import SETTINGS, a_body
from tests.kube import Kube
from triton_operator.api.names import CONTAINER_PROXY, MANAGER, SERVING_SECRET

Object = dict[str, Any]

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.json"))
LEFT_BEHIND = {f"{file.stem} {name}": left for file in RELEASES for name, left in json.loads(file.read_text()).items()}


@pytest.mark.parametrize("left", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_pods_of_an_earlier_release_are_kept(left: Object, kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    """Scaling under the new operator does not restart them either; a change of the pods' content does.

    These pods have no TLS, which is now the default of the profile Private.
    """
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    _leave_behind(left, kube)
    before, ports = _template(kube), _ports(kube)
    assert ports == {8000, 8001}
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        kube.run("scale", "modeldeployment/digits", "--replicas=3")
        kube.wait(lambda: _deployment(kube)["replicas"] == 3, "the new operator works on it")
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "it is accepted")
        assert (_template(kube), _ports(kube)) == (before, ports)
        assert kube.get("secret", SERVING_SECRET) is None
        is_private = "privacy" not in left["spec"]
        if is_private:
            enforced = kube.wait_reason("digits", "TLSNotConfigured", kind="PrivacyEnforced")
            assert enforced["status"] == "False"
            assert "set spec.privacy.tls.mode to Managed" in enforced["message"]
        kube.patch("modeldeployment", "digits", {"spec": {"resources": {"requests": {"cpu": "2"}}}})
        kube.wait(lambda: _template(kube) != before, "what runs is rendered anew")
        assert (_containers(kube)[1] == CONTAINER_PROXY) is is_private


def test_a_rollout_to_tls_has_no_outage(kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    """The plain ports remain until the last pod without TLS has ended; the test plays the Deployment controller."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    _leave_behind(LEFT_BEHIND["0.1.0 image"], kube)
    _start_pod(kube, "old")
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        kube.wait(lambda: _endpoint(kube).startswith("http:"), "the old pod serves")
        kube.patch("modeldeployment", "digits", {"spec": {"privacy": {"tls": {"mode": "Managed"}}}})
        kube.wait(lambda: CONTAINER_PROXY in _containers(kube), "new pods have the sidecar")
        assert _ports(kube) == {8000, 8001, 8443}
        kube.wait_reason("digits", "TLSNotConfigured", kind="PrivacyEnforced")
        assert _endpoint(kube).startswith("http:")
        _start_pod(kube, "new")
        kube.wait(lambda: _endpoint(kube).startswith("https:"), "clients use TLS")
        assert _ports(kube) == {8000, 8001, 8443}
        kube.run("delete", "pod", "old", "--grace-period=0", "--force")
        kube.wait(lambda: _ports(kube) == {8443}, "the plain ports are closed")


def test_a_deployment_with_the_policy_latest_follows_the_operator(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    """Its pods are rendered again once; the test plays the Deployment controller."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as old:
        old.wait_ready()
        kube.apply(a_body(rollout={"revisionPolicy": "Latest"}) | {"metadata": {"name": "digits"}})
        kube.wait(lambda: kube.get("deployment", "digits"), "the Deployment exists")
        _start_pod(kube, "old")
        _report_served(kube)
        kube.wait_reason("digits", "Serving")
    newer = msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2")
    with OperatorProcess(kubeconfig, namespace, tmp_path, settings=newer) as new:
        new.wait_ready()
        kube.wait(lambda: _upgrade(kube) == "Updating", "it is the turn of the only deployment")
        assert _template(kube)["spec"]["initContainers"][0]["image"] == newer.operator_image
        _start_pod(kube, "new")
        kube.run("delete", "pod", "old", "--grace-period=0", "--force")
        _report_served(kube)
        kube.wait(lambda: not _upgrade(kube), "the update has finished")
        kube.wait_reason("digits", "Serving")


def _leave_behind(left: Object, kube: Kube) -> None:
    """Create the object and its children in this namespace, as the earlier operator applied them."""
    kind = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment"}
    kube.apply(kind | {"metadata": {"name": "digits"}, "spec": left["spec"]})
    uid = (kube.get("modeldeployment", "digits") or {})["metadata"]["uid"]
    for child in left["children"]:
        child["metadata"]["namespace"] = kube.namespace
        child["metadata"]["ownerReferences"][0]["uid"] = uid
        kube.run("apply", "--server-side", f"--field-manager={MANAGER}", "-f", "-", stdin=json.dumps(child))


def _start_pod(kube: Kube, name: str) -> None:
    """A ready pod of the Deployment's template."""
    template = _template(kube)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": template["metadata"]["labels"]}}
    kube.run("create", "-f", "-", stdin=json.dumps(pod | {"spec": template["spec"] | {"nodeName": "node-1"}}))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    kube.patch("pod", name, {"status": ready}, subresource="status")


def _report_served(kube: Kube) -> None:
    """Write the status of a Deployment whose only replica runs the current template."""
    live = kube.get("deployment", "digits") or {}
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    status = {"observedGeneration": live["metadata"]["generation"], **counts}
    kube.patch("deployment", "digits", {"status": status}, subresource="status")


def _upgrade(kube: Kube) -> str:
    status = (kube.get("modeldeployment", "digits") or {}).get("status", {})
    return str((status.get("upgrade") or {}).get("state", ""))


def _ports(kube: Kube) -> set[int]:
    """The ports for clients, on which both Services and the policy agree."""
    found = [{port["port"] for port in _spec(kube, "service", "digits")["ports"]}]
    found.append({port["port"] for port in _spec(kube, "service", "digits-headless")["ports"]} - {8002})
    if policy := kube.get("networkpolicy", "digits"):
        found.append({port["port"] for port in policy["spec"]["ingress"][0]["ports"]})
    return found[0] if all(ports == found[0] for ports in found) else set()


def _endpoint(kube: Kube) -> str:
    endpoints = (kube.get("modeldeployment", "digits") or {}).get("status", {}).get("endpoints", {})
    return str(endpoints.get("https") or endpoints.get("http") or "")


def _containers(kube: Kube) -> list[str]:
    pod = _template(kube)["spec"]
    return [container["name"] for container in (*pod["initContainers"], *pod["containers"])]


def _spec(kube: Kube, kind: str, name: str) -> Object:
    spec: Object = (kube.get(kind, name) or {})["spec"]
    return spec


def _deployment(kube: Kube) -> Object:
    return _spec(kube, "deployment", "digits")


def _template(kube: Kube) -> Object:
    template: Object = _deployment(kube)["template"]
    return template
