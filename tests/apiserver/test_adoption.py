"""`spec.adopt: Matching` with the real operator and a real API server.

There is no garbage collector here: a deleted ModelDeployment leaves its children with their owner reference, and the
tests remove it as `kubectl delete --cascade=orphan` does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.programs.catalogue import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from tests.kube import Kube

Object = dict[str, Any]

KINDS = "serviceaccount,configmap,controllerrevision,networkpolicy,service,deployment,poddisruptionbudget"
OF_THE_SERVER = {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences"}
"""Metadata that a restored backup lacks."""


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@pytest.fixture
def served(operator: OperatorProcess, kube: Kube) -> Kube:
    """A namespace in which the operator has created the children of `digits`, which is then deleted."""
    operator.wait_ready()
    _apply(kube)
    _wait_accepted(kube)
    kube.delete("modeldeployment", "digits")
    return kube


def test_children_without_an_owner_are_adopted_in_place(served: Kube) -> None:
    kube = served
    _orphan(kube)
    before = _children(kube)
    _apply(kube)
    conflict = kube.wait_reason("digits", "NameConflict", kind="Accepted")
    assert "Set spec.adopt to Matching" in conflict["message"]
    assert _children(kube) == before, "nothing is adopted unless the user asks for it"
    kube.patch("modeldeployment", "digits", {"spec": {"adopt": "Matching"}})
    _wait_accepted(kube)
    after = _children(kube)
    assert _uids(after) == _uids(before)
    assert _contents(after) == _contents(before)
    assert {owner["uid"] for owner in _owners(after)} == {_uid(kube)}
    assert _managers_of_content(after) == {("triton-operator", "Apply")}
    kube.delete("modeldeployment", "digits")
    _apply(kube, adopt="Matching")
    _wait_accepted(kube)
    again = _children(kube)
    assert _uids(again) == _uids(before), "children of a deleted object are adopted before they are removed"
    assert [owner["uid"] for owner in _owners(again)] == [_uid(kube)] * len(before)


def test_children_of_a_backup_are_adopted_in_place(served: Kube) -> None:
    """Velero restores them with new uids, without managedFields, and with a label of its own."""
    kube = served
    saved = _children(kube)
    kube.run("delete", KINDS, "-l", "triton-operator.io/model-deployment=digits")
    for child in saved.values():
        kube.run("create", "-f", "-", stdin=json.dumps(_restored(child)))
    before = _children(kube)
    _apply(kube, adopt="Matching")
    _wait_accepted(kube)
    after = _children(kube)
    assert _uids(after) == _uids(before)
    assert _contents(after) == _contents(saved)
    assert {owner["uid"] for owner in _owners(after)} == {_uid(kube)}
    assert _managers_of_content(after) == {("triton-operator", "Apply")}
    kube.patch("modeldeployment", "digits", {"spec": {"triton": {"logLevel": "Info"}}})
    kube.wait(lambda: "--log-info=true" in json.dumps(kube.get("deployment", "digits")), "later changes are applied")


def test_planted_children_gain_nothing(served: Kube) -> None:
    """Each of them alone prevents the adoption of all; the other tests are the positive control."""
    kube = served
    _orphan(kube)
    spy = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "spy", "image": "spy:1"}}]
    kube.run("patch", "deployment", "digits", "--type=json", "-p", json.dumps(spy))
    kube.patch("networkpolicy", "digits", {"spec": {"ingress": [{}]}})
    kube.patch("configmap", "digits-proxy", {"data": {"more": "x"}})
    kube.patch("service", "digits", {"spec": {"externalIPs": ["192.0.2.1"]}})
    (revision,) = (child for child in _children(kube).values() if child["kind"] == "ControllerRevision")
    kube.delete("controllerrevision", revision["metadata"]["name"])
    revision["data"]["template"]["spec"]["containers"][0]["image"] = "spy:1"
    planted = json.dumps(_restored(revision))
    kube.run("create", "--field-manager=triton-operator", "-f", "-", stdin=planted)
    planted_children = _children(kube)
    _apply(kube, adopt="Matching")
    message = kube.wait_reason("digits", "AdoptionRefused", kind="Accepted")["message"]
    for part in (
        "ConfigMap digits-proxy (data.more)",
        "(data.template.spec.containers[triton].image)",
        "NetworkPolicy digits (spec.ingress)",
        "Service digits (spec.externalIPs",
        "Deployment digits (spec.template.spec.containers[spy])",
        f"kubectl delete --cascade=orphan -n {kube.namespace} deployment/digits",
        f"kubectl delete -n {kube.namespace} controllerrevision/{revision['metadata']['name']} configmap/digits-proxy",
    ):
        assert part in message, message
    assert _children(kube) == planted_children


def _apply(kube: Kube, **spec: Any) -> None:
    kube.apply(a_body(replicas=2, **spec) | {"metadata": {"name": "digits"}})


def _wait_accepted(kube: Kube) -> None:
    kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "it is accepted")


def _uid(kube: Kube) -> str:
    return str((kube.get("modeldeployment", "digits") or {})["metadata"]["uid"])


def _children(kube: Kube) -> dict[str, Object]:
    """Every child by its kind and name; the shared ConfigMap is not one."""
    listing = ("get", KINDS, "-l", "triton-operator.io/model-deployment=digits", "--show-managed-fields", "-o", "json")
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in json.loads(kube.run(*listing))["items"]}


def _orphan(kube: Kube) -> None:
    for child in _children(kube).values():
        kube.patch(child["kind"], child["metadata"]["name"], {"metadata": {"ownerReferences": None}})


def _restored(child: Object) -> Object:
    metadata = {key: value for key, value in child["metadata"].items() if key not in OF_THE_SERVER}
    metadata["labels"] = metadata["labels"] | {"velero.io/restore-name": "nightly"}
    return {key: value for key, value in child.items() if key != "status"} | {"metadata": metadata}


def _uids(children: dict[str, Object]) -> dict[str, str]:
    return {name: child["metadata"]["uid"] for name, child in children.items()}


def _contents(children: dict[str, Object]) -> dict[str, Object]:
    """What is not metadata, status or the number of a revision: it contains the pod template."""
    hidden = {"metadata", "status", "revision"}
    return {name: {k: v for k, v in child.items() if k not in hidden} for name, child in children.items()}


def _owners(children: dict[str, Object]) -> list[Object]:
    return [owner for child in children.values() for owner in child["metadata"].get("ownerReferences", ())]


def _managers_of_content(children: dict[str, Object]) -> set[tuple[str, str]]:
    """Who owns content, except of the Deployment: others may own its replicas and the metadata of its pods."""
    return {
        (entry["manager"], entry["operation"])
        for child in children.values()
        if child["kind"] != "Deployment"
        for entry in child["metadata"]["managedFields"]
        if not entry["fieldsV1"].keys().isdisjoint({"f:spec", "f:data"}) and not entry.get("subresource")
    }
