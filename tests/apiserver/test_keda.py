"""The provider KEDA on a real API server with the real definition of ScaledObjects; the tests play KEDA itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack.programs.catalogue import KEDA, tools
from hack.programs.gobuild import source_folder
from tests import foreign_definitions
from tests.apiserver.many_objects import check_that_a_restart_writes_nothing
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.specs import MINIMAL, deployment
from tests.kube import Kube

Object = dict[str, Any]

MODULE = "github.com/kedacore/keda/v2"
CRON: Object = {
    "type": "cron",
    "name": "office",
    "metadata": {"timezone": "Europe/Rome", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "2"},
    "useCachedMetrics": False,
}
AUTOSCALING: Object = {
    "provider": "KEDA",
    "minReplicas": 0,
    "maxReplicas": 5,
    "metrics": [{"type": "PendingRequests", "averageValue": 4}, {"type": "Trigger", "trigger": CRON}],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
}
PENDING = 'nv_inference_pending_request_count{model="digits"}'
SCALED: Object = {**MINIMAL, "privacy": {"profile": "Open"}, "autoscaling": AUTOSCALING}
SERVED_BY_PROMETHEUS: Object = {
    "provider": "KEDA",
    "minReplicas": 1,
    "maxReplicas": 3,
    "keda": {"prometheusServer": "http://prometheus.monitoring.svc:9090", "pollingIntervalSeconds": 5},
    "metrics": [
        {"type": "QueueTimeRatio"},
        {"type": "RequestsPerSecond", "averageValue": 20},
        {"type": "MemoryUtilization"},
    ],
}


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


async def test_keda_that_is_installed_later_scales(operator: OperatorProcess, kube: Kube, namespace: str) -> None:
    """The real definition accepts the ScaledObject; a restarted operator writes nothing, and edits are undone."""
    kube.apply(deployment(SCALED))
    message = kube.wait_reason("digits", "KEDANotInstalled", kind="ScalingActive")["message"]
    assert "install KEDA" in message
    kube.wait(lambda: kube.get("deployment", "digits"), "pods are created nevertheless")
    files = [source_folder(KEDA, MODULE) / "config" / "crd" / "bases" / "keda.sh_scaledobjects.yaml"]
    foreign_definitions.install(kube, files)
    try:
        _follow_keda(kube)
        await check_that_a_restart_writes_nothing(operator)
        _change_the_provider(kube)
        assert operator.is_healthy()
    finally:
        foreign_definitions.uninstall(kube, files)
    kube.patch("modeldeployment", "digits", {"spec": {"autoscaling": SERVED_BY_PROMETHEUS}})
    kube.wait_reason("digits", "KEDANotInstalled", kind="ScalingActive")


def _follow_keda(kube: Kube) -> None:
    """KEDA reports, writes the object back, stops all replicas, and starts some."""
    written = kube.wait(lambda: kube.get("scaledobject", "digits"), "the ScaledObject is created")
    triggers = written["spec"]["triggers"]
    assert [trigger["type"] for trigger in triggers] == ["metrics-api", "cron"]
    assert triggers[0]["metadata"]["valueLocation"] == PENDING
    _report(kube, Ready="Unknown", Active="Unknown")
    kube.wait_reason("digits", "ScalingNotReady", kind="ScalingActive")
    _report(kube, Ready="False")
    assert "port 8002" in kube.wait_reason("digits", "TriggerError", kind="ScalingActive")["message"]

    kube.run("scale", "deployment", "digits", "--replicas=0")
    _report(kube, Ready="True")
    stopped = kube.wait_reason("digits", "Scaling", kind="ScalingActive")["message"]
    assert stopped == "0 replicas; KEDA starts one when one of these triggers is active: office"
    kube.run("scale", "deployment", "digits", "--replicas=3")
    _autoscale(kube, written["metadata"]["uid"])
    numbers = "3 replicas, 3 desired; at the last change, PendingRequests of digits 9 (target 4)"
    kube.wait(lambda: _message(kube) == numbers, "the numbers of KEDA's autoscaler are reported")
    assert _replicas(kube) == 3

    kube.patch("scaledobject", "digits", {"spec": {"maxReplicaCount": 50}})
    kube.wait(lambda: _maximum(kube) == 5, "an edit is undone")
    _annotate(kube, "autoscaling.keda.sh/paused=true")
    _report(kube, Ready="True", Paused="True")
    kube.wait_reason("digits", "Paused", kind="ScalingActive")
    _annotate(kube, "autoscaling.keda.sh/paused-")
    _report(kube, Ready="True", Paused="False")
    kube.wait_reason("digits", "Scaling", kind="ScalingActive")


def _change_the_provider(kube: Kube) -> None:
    """The definition accepts triggers of every kind, and the replicas outlive a change of the provider."""
    kube.patch("modeldeployment", "digits", {"spec": {"autoscaling": {**SERVED_BY_PROMETHEUS, "behavior": None}}})
    kinds = ["prometheus", "prometheus", "memory"]
    kube.wait(lambda: [each["type"] for each in _spec(kube)["triggers"]] == kinds, "the ScaledObject follows the spec")
    hpa = {"provider": "HPA", "keda": None, "metrics": None}
    kube.patch("modeldeployment", "digits", {"spec": {"autoscaling": hpa}})
    kube.wait(lambda: kube.get("scaledobject", "digits") is None, "the ScaledObject is deleted")
    assert kube.get("horizontalpodautoscaler", "digits") is None, "there are never two autoscalers"
    kube.delete("horizontalpodautoscaler", "keda-hpa-digits")
    kube.wait(lambda: kube.get("horizontalpodautoscaler", "digits"), "the operator's autoscaler follows")
    assert _replicas(kube) == 3


def _report(kube: Kube, **conditions: str) -> None:
    """The status that KEDA writes."""
    reasons = {"False": "TriggerError", "True": "ScaledObjectReady", "Unknown": ""}
    found = [
        {"type": kind, "status": status, "message": "no answer"} | ({"reason": reason} if reason else {})
        for kind, status in conditions.items()
        for reason in (reasons[status],)
    ]
    kube.patch("scaledobject", "digits", {"status": {"conditions": found}}, subresource="status")


def _autoscale(kube: Kube, uid: str) -> None:
    """The HorizontalPodAutoscaler that KEDA creates, with the labels of the ScaledObject, and its status."""
    labels = (kube.get("scaledobject", "digits") or {})["metadata"]["labels"]
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "digits", "uid": uid, "controller": True}
    external = {"metric": {"name": f"s0-metric-api-{PENDING}"}, "target": {"type": "AverageValue", "averageValue": "4"}}
    kube.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "keda-hpa-digits", "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"},
                "minReplicas": 1,
                "maxReplicas": 5,
                "metrics": [{"type": "External", "external": external}],
            },
        }
    )
    current = {"metric": external["metric"], "current": {"averageValue": "9"}}
    active = {
        "type": "ScalingActive",
        "status": "True",
        "reason": "ValidMetricFound",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    status = {
        "currentReplicas": 3,
        "desiredReplicas": 3,
        "conditions": [active],
        "currentMetrics": [{"type": "External", "external": current}],
    }
    kube.patch("horizontalpodautoscaler", "keda-hpa-digits", {"status": status}, subresource="status")


def _annotate(kube: Kube, annotation: str) -> None:
    kube.run("annotate", "scaledobject", "digits", annotation)


def _message(kube: Kube) -> str:
    message: str = (kube.condition("digits", "ScalingActive") or {}).get("message", "")
    return message


def _spec(kube: Kube) -> Object:
    spec: Object = (kube.get("scaledobject", "digits") or {})["spec"]
    return spec


def _maximum(kube: Kube) -> Any:
    return _spec(kube)["maxReplicaCount"]


def _replicas(kube: Kube) -> Any:
    return (kube.get("deployment", "digits") or {})["spec"]["replicas"]
