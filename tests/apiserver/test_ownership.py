"""Ownership, with the real operator and a real API server: names, conflicts, replicas, drift and upgrades.

There is no garbage collector and no Deployment controller here, so each state lasts until the test or the operator
changes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tests.apiserver.conftest import Kubectl
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import SETTINGS, a_body
from tests.unit.resources.test_autoscaler import PASSED_THROUGH

T = TypeVar("T")
Object = dict[str, Any]
Ask = Callable[..., Any]

_WITHIN_SECONDS = 180
HPA = {
    "minReplicas": 2,
    "maxReplicas": 8,
    "metrics": PASSED_THROUGH,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}


@pytest.fixture
def ask(kubectl: Kubectl, namespace: str) -> Ask:
    """Runs kubectl in the test's namespace; with `-o json`, the output is parsed."""

    def run(*arguments: str, stdin: Object | None = None) -> Any:
        text = kubectl("-n", namespace, *arguments, stdin=json.dumps(stdin) if stdin else "")
        return json.loads(text) if "json" in arguments and text else text

    return run


def test_a_name_that_is_taken_is_told_and_served_once_it_is_free(operator: OperatorProcess, ask: Ask) -> None:
    ask("create", "service", "clusterip", "digits", "--tcp=80")
    _apply(ask)
    _until(lambda: _reason(ask, "Accepted") == "NameConflict", "the conflict is reported")
    assert "Service named digits" in _condition(ask, "Accepted")["message"]
    assert "ownerReferences" not in _get(ask, "service")["metadata"]
    ask("delete", "service", "digits")
    _until(lambda: _reason(ask, "Accepted") == "Accepted", "the name is free", seconds=300)
    assert _get(ask, "deployment")["metadata"]["ownerReferences"][0]["name"] == "digits"


def test_a_dead_namesake_s_children_are_never_taken_over(operator: OperatorProcess, ask: Ask) -> None:
    _apply(ask)
    _until(lambda: _get(ask, "deployment"), "the Deployment is there")
    dead = _get(ask, "deployment")["metadata"]["ownerReferences"][0]["uid"]
    ask("delete", "modeldeployment", "digits")
    _apply(ask)
    _until(lambda: _reason(ask, "Accepted") == "WaitingForDeletion", "the namesake's children are waited for")
    assert _get(ask, "deployment")["metadata"]["ownerReferences"][0]["uid"] == dead
    kinds = "serviceaccount,configmap,service,deployment,networkpolicy,controllerrevision"
    ask("delete", kinds, "-l", "triton-operator.io/model-deployment=digits")
    _until(lambda: _reason(ask, "Accepted") == "Accepted", "new children are made", seconds=300)
    alive = _get(ask, "modeldeployment")["metadata"]["uid"]
    assert _get(ask, "deployment")["metadata"]["ownerReferences"][0]["uid"] == alive != dead


def test_a_copy_of_another_deployment_s_child_is_not_waited_for(operator: OperatorProcess, ask: Ask) -> None:
    """Its owner exists, and it lacks the labels that the operator needs to remove it."""
    _apply(ask)
    _until(lambda: _reason(ask, "Accepted") == "Accepted", "the first is served")
    copy = _get(ask, "serviceaccount")
    copy["metadata"] = {"name": "other", "ownerReferences": copy["metadata"]["ownerReferences"]}
    ask("create", "-f", "-", stdin=copy)
    ask("create", "-f", "-", stdin=a_body("other") | {"metadata": {"name": "other"}})

    def message() -> str:
        stored = ask("get", "modeldeployment", "other", "-o", "json")
        conditions = stored.get("status", {}).get("conditions", ())
        return next((each["message"] for each in conditions if each["reason"] == "NameConflict"), "")

    _until(lambda: "ServiceAccount other belongs to ModelDeployment digits" in message(), "the second is reported")
    assert _reason(ask, "Accepted") == "Accepted"


def test_replicas_are_handed_over_to_an_autoscaler_and_taken_back(operator: OperatorProcess, ask: Ask) -> None:
    _apply(ask, replicas=5)
    _until(lambda: _replicas(ask) == 5, "five replicas")
    _change(ask, {"autoscaling": HPA})
    _until(lambda: _get(ask, "horizontalpodautoscaler"), "the autoscaler is there")
    _until(lambda: not _owns_replicas(ask), "the count is handed over")
    assert _replicas(ask) == 5
    ask("scale", "deployment/digits", "--replicas=7")
    _change(ask, {"service": {"annotations": {"a": "b"}}})
    _until(lambda: _get(ask, "service")["metadata"].get("annotations"), "a later change is applied")
    assert _replicas(ask) == 7
    _change(ask, {"suspend": True})
    _until(lambda: _replicas(ask) == 0 and not _get(ask, "horizontalpodautoscaler"), "it is suspended")
    _change(ask, {"suspend": False})
    _until(lambda: _replicas(ask) == HPA["minReplicas"], "it resumes at minReplicas")
    _change(ask, {"autoscaling": None, "replicas": 3})
    _until(lambda: _replicas(ask) == 3, "the count is ours again")


def test_an_autoscaler_of_the_child_deployment_is_reported_and_not_fought(operator: OperatorProcess, ask: Ask) -> None:
    """No controller runs here, so `kubectl scale` writes what the autoscaler would; alone, it is reverted."""
    _apply(ask, replicas=2)
    _until(lambda: _replicas(ask) == 2, "two replicas")
    ask("scale", "deployment/digits", "--replicas=5")
    _until(lambda: _replicas(ask) == 2, "it is reverted without an autoscaler")
    ask("create", "-f", "-", stdin=_their_autoscaler("Deployment"))
    ask("scale", "deployment/digits", "--replicas=5")
    _until(lambda: _reason(ask, "ScalingActive") == "OtherAutoscaler", "it is reported")
    assert "HorizontalPodAutoscaler theirs" in _condition(ask, "ScalingActive")["message"]
    ask("scale", "deployment/digits", "--replicas=6")
    _change(ask, {"replicas": 3, "triton": {"logLevel": "Info"}})
    _until(lambda: "--log-info=true" in json.dumps(_get(ask, "deployment")), "a later change of the pods is applied")
    assert _replicas(ask) == 6
    _change(ask, {"suspend": True})
    _until(lambda: _replicas(ask) == 0, "it is suspended")
    _change(ask, {"suspend": False})
    _until(lambda: _replicas(ask) == 3, "it resumes with the count of the spec")
    ask("scale", "deployment/digits", "--replicas=4")
    _until(lambda: _reason(ask, "ScalingActive") == "OtherAutoscaler", "it is reported again")
    ask("delete", "horizontalpodautoscaler", "theirs")
    _change(ask, {"service": {"annotations": {"a": "b"}}})
    _until(lambda: _replicas(ask) == 3, "the count is ours again")


def _their_autoscaler(kind: str) -> Object:
    version = "apps/v1" if kind == "Deployment" else "triton-operator.io/v1alpha1"
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs"},
        "spec": {"scaleTargetRef": {"apiVersion": version, "kind": kind, "name": "digits"}, "maxReplicas": 8},
    }


def test_foreign_parts_go_and_foreign_labels_stay(operator: OperatorProcess, ask: Ask) -> None:
    _apply(ask)
    _until(lambda: _get(ask, "deployment"), "the Deployment is there")
    ask("label", "deployment", "digits", "team=vision")
    added = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "spy", "image": "spy:1"}}]
    ask("patch", "deployment", "digits", "--type=json", "-p", json.dumps(added))
    _until(lambda: len(_get(ask, "deployment")["spec"]["template"]["spec"]["containers"]) == 1, "the spy is gone")
    assert _get(ask, "deployment")["metadata"]["labels"]["team"] == "vision"


@pytest.mark.parametrize("scaled", [False, True], ids=["as it is", "and scaled"])
def test_an_operator_upgrade_rolls_no_pod(
    scaled: bool, kubeconfig: Path, namespace: str, tmp_path: Path, ask: Ask
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as old:
        old.wait_ready()
        _apply(ask)
        _until(lambda: _reason(ask, "Accepted") == "Accepted", "it is accepted")
    before = _get(ask, "deployment")["spec"]["template"]
    newer = msgspec.structs.replace(
        SETTINGS, operator_image="example.org/triton-operator:2", images=SETTINGS.images[:1]
    )
    with OperatorProcess(kubeconfig, namespace, tmp_path, settings=newer) as new:
        new.wait_ready()
        if scaled:
            ask("scale", "modeldeployment/digits", "--replicas=3")
            _until(lambda: _replicas(ask) == 3, "it is scaled")
        _change(ask, {"service": {"annotations": {"a": "b"}}})
        _until(lambda: _get(ask, "service")["metadata"].get("annotations"), "the new operator is at work")
        assert _get(ask, "deployment")["spec"]["template"] == before
        _change(ask, {"triton": {"logLevel": "Info"}})
        _until(lambda: _get(ask, "deployment")["spec"]["template"] != before, "a change of pods is rendered anew")


def _apply(ask: Ask, **spec: Any) -> None:
    body = a_body(**spec)
    body["metadata"] = {"name": "digits"}
    ask("apply", "-f", "-", stdin=body)


def _change(ask: Ask, spec: Object) -> None:
    ask("patch", "modeldeployment", "digits", "--type=merge", "-p", json.dumps({"spec": spec}))


def _get(ask: Ask, kind: str) -> Any:
    return ask("get", kind, "digits", "--ignore-not-found", "-o", "json")


def _condition(ask: Ask, kind: str) -> Object:
    body = _get(ask, "modeldeployment")
    conditions = {condition["type"]: condition for condition in body.get("status", {}).get("conditions", [])}
    actual: Object = conditions.get(kind, {})
    return actual


def _reason(ask: Ask, kind: str) -> str:
    return str(_condition(ask, kind).get("reason", ""))


def _replicas(ask: Ask) -> int:
    body = _get(ask, "deployment")
    return int(body["spec"]["replicas"]) if body else -1


def _owns_replicas(ask: Ask) -> bool:
    body = json.loads(ask("get", "deployment", "digits", "--show-managed-fields", "-o=json"))
    return any(
        entry["manager"] == "triton-operator" and "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        for entry in body["metadata"]["managedFields"]
        if entry["operation"] == "Apply"
    )


def _until(look: Callable[[], T], what: str, seconds: float = _WITHIN_SECONDS) -> T:
    deadline = time.monotonic() + seconds
    while not (result := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return result
