"""Autoscaling on CPU with metrics-server, under constant load: the operator's autoscaler, and one of the user."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.node import NativeCluster
from tests.e2e.private_callers import client_of
from tests.kube import Kube, Object
from tests.metrics_server import metrics_server
from tests.proxy.load import Load, over_grpc, over_http, under_load
from tests.served import Served, serve

NAME = "linear-regression"
SECONDS = 30.0
"""An autoscaler has reacted to load after this time."""
TARGET = 100
"""Percent of the requested CPU, which is 50m. The light load needs far less, and the full load far more."""
LIGHT_PAUSE, FULL_PAUSE = 0.5, 0.002
BEHAVIOR: Object = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.fixture(scope="module", autouse=True)
def served(
    node: RunningCluster,
    kube: Kube,
    model_deployment: Callable[..., Object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """A deployment with an autoscaler, and the metrics that it needs."""
    if not isinstance(node, NativeCluster):
        pytest.skip("metrics-server runs on the native node")
    metrics = [{"type": "CPUUtilization", "averageUtilization": TARGET}]
    autoscaling = {"minReplicas": 1, "maxReplicas": 2, "metrics": metrics, "behavior": BEHAVIOR}
    kube.apply(model_deployment("linear_regression", autoscaling=autoscaling))
    with metrics_server(node, kube, tmp_path_factory.mktemp("metrics-server")):
        kube.wait_ready(NAME)
        kube.wait(lambda: sees_numbers(kube), "the autoscaler sees the usage")
        with serve(node, kube, NAME) as served:
            yield served


def test_replicas_follow_the_load_and_no_request_fails(
    kube: Kube, served: Served, measured: Callable[[str], None]
) -> None:
    with under_load(client_of(served, ""), over_http, over_grpc, pause=LIGHT_PAUSE) as light:
        out, full = seconds_until_two(kube, served, "deployment")
        start = time.monotonic()
        kube.wait(lambda: replicas(kube, "deployment") == 1, "it scales in", 120)
        back = time.monotonic() - start
        kube.wait(lambda: len(kube.list("pods")) == 1, "one pod is left", 90)
    measured(f"out after {out:.0f} s, back after {back:.0f} s; {summary([*light, *full])}")
    assert [load.failures for load in [*light, *full]] == [[]] * 4


def test_an_autoscaler_of_the_user_scales_the_modeldeployment(
    kube: Kube, served: Served, measured: Callable[[str], None]
) -> None:
    kube.patch("modeldeployment", NAME, {"spec": {"autoscaling": None, "replicas": 1}})
    kube.wait(lambda: kube.get("hpa", NAME) is None, "the operator's autoscaler is gone")
    kube.apply(autoscaler_of_the_user())
    with under_load(client_of(served, ""), over_http, over_grpc, pause=LIGHT_PAUSE) as light:
        out, full = seconds_until_two(kube, served, "modeldeployment")
    measured(f"out after {out:.0f} s; {summary([*light, *full])}")
    assert kube.condition(NAME, "ScalingActive") is None
    assert [load.failures for load in [*light, *full]] == [[]] * 4
    kube.delete("hpa", "users")


def seconds_until_two(kube: Kube, served: Served, kind: str) -> tuple[float, list[Load]]:
    """Send requests until two replicas serve; return after how many seconds the autoscaler has set the number."""
    start = time.monotonic()
    with under_load(client_of(served, ""), over_http, over_grpc, pause=FULL_PAUSE) as loads:
        kube.wait(lambda: replicas(kube, kind) == 2, "it scales out", SECONDS)
        out = time.monotonic() - start
        kube.wait(lambda: ready_replicas(kube) == 2, "the second replica is ready")
    return out, loads


def autoscaler_of_the_user() -> Object:
    """An autoscaler as users write it, for the `/scale` of the ModelDeployment."""
    target = {"type": "Utilization", "averageUtilization": TARGET}
    metric = {
        "type": "ContainerResource",
        "containerResource": {"name": "cpu", "container": "triton", "target": target},
    }
    reference = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment", "name": NAME}
    spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 2, "metrics": [metric], "behavior": BEHAVIOR}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "users"},
        "spec": spec,
    }


def sees_numbers(kube: Kube) -> bool:
    condition = kube.condition(NAME, "ScalingActive")
    return condition is not None and condition["status"] == "True"


def replicas(kube: Kube, kind: str) -> object:
    body: Any = kube.get(kind, NAME)
    return body["spec"].get("replicas")


def ready_replicas(kube: Kube) -> object:
    body: Any = kube.get("modeldeployment", NAME)
    return body["status"].get("readyReplicas")


def summary(loads: list[Load]) -> str:
    return ", ".join(f"{load.name}: {load.requests} requests, {len(load.failures)} failed" for load in loads)
